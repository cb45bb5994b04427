/** A disk that fills up while objects stand in segments and have no files yet; with a small file system of its own (root). */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../../tests/harness/until.ts'
import { openFolderObjects } from '../folder-objects.ts'
import type { ObjectStore } from '../objects.ts'

const isRoot = process.getuid?.() === 0 && process.platform === 'linux'
const settings = { segmentBytes: 1024 * 1024, maxSegments: 8, idleMs: 20 }

describe.skipIf(!isRoot)('the arrivals on a file system of 24 MB (needs root, to mount it)', () => {
  const mount = mkdtempSync(join(tmpdir(), 'raylog-full-'))
  const folder = join(mount, 'objects')
  let store: ObjectStore
  beforeAll(async () => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', mount])
    store = await openFolderObjects({ folder, arrivals: settings })
  })
  afterAll(async () => {
    await store.close()
    execFileSync('umount', [mount])
    rmSync(mount, { recursive: true })
  })

  const room = () => {
    const { bavail, bsize } = statfsSync(mount)
    return bavail * bsize
  }
  const isWhole = async (key: string) => (await store.get(key)).length === 100_000

  it('refuse when all is full, keep what was acknowledged over a restart, and make its files when there is room', async () => {
    const acknowledged: string[] = []
    const put = async () => {
      const { key } = await store.put(randomBytes(100_000), 'a/b', { soon: true })
      acknowledged.push(key)
    }
    await put()
    await until('there are segments', () => {
      const names = readdirSync(join(folder, 'arrivals'))
      return names.length >= 2 && !names.some(name => name.endsWith('.new'))
    })
    const ballast = join(mount, 'ballast')
    writeFileSync(ballast, Buffer.alloc(room() - 150_000, 1))
    let refused: unknown
    while (refused === undefined) await Promise.all([put(), put(), put()]).catch(thrown => (refused = thrown))
    expect(refused).toMatchObject({ code: 'store-full' })
    expect(acknowledged.length).toBeGreaterThan(5)
    for (const key of acknowledged) expect(await isWhole(key)).toBe(true)
    await until('nothing half written is left', () => readdirSync(join(folder, 'incoming')).length === 0)
    await store.close()
    store = await openFolderObjects({ folder, arrivals: settings })
    for (const key of acknowledged) expect(await isWhole(key)).toBe(true)
    rmSync(ballast)
    await until('all have files', () => acknowledged.every(key => store.local(key) !== undefined))
    for (const key of acknowledged) expect(await isWhole(key)).toBe(true)
    await put()
  })
})
