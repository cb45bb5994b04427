import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { toRaylogError } from '../../schemas/errors.ts'
import { openSqliteDocuments } from '../../storage/sqlite-documents.ts'
import { collect, until } from '../../tests/contract/log-kit.ts'
import { openEmbeddedLog } from './log.ts'

const disk = mkdtempSync(join(tmpdir(), 'raylog-full-'))
const mounted = mount()

/** A disk of 12 MiB, of which the journal of the log has 4; only root may make one. */
function mount(): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=12m', 'tmpfs', disk], { stdio: 'ignore' })
    return true
  } catch {
    rmSync(disk, { recursive: true })
    return false
  }
}

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    error => toRaylogError(error).code,
  )

describe.skipIf(!mounted)('on a full disk (skipped where a small one cannot be mounted)', () => {
  afterAll(() => {
    execFileSync('umount', ['--lazy', disk])
    rmSync(disk, { recursive: true })
  })

  it('the log refuses with store-full, keeps and reads what it has, and goes on by itself when there is room', async () => {
    const log = await openEmbeddedLog({ folder: join(disk, 'log') })
    await log.ensureTopics([{ name: 't', partitions: 2, retention: { maxAgeMs: null, maxBytes: null } }])
    const tail = await collect(log, { topics: ['t'], from: 'earliest' })
    writeFileSync(join(disk, 'ballast'), Buffer.alloc(4 * 1024 * 1024))
    let kept = 0
    const append = (n: number) => log.append([{ topic: 't', key: `k${n}`, value: Buffer.alloc(50_000) }])
    while ((await codeOf(append(kept))) === 'done') kept += 1
    expect(kept).toBeGreaterThan(10)
    const refusals = await Promise.all(Array.from({ length: 20 }, (_, n) => codeOf(append(n))))
    expect(new Set(refusals)).toEqual(new Set(['store-full']))
    expect(await codeOf(log.check())).toBe('store-full')
    unlinkSync(join(disk, 'ballast'))
    expect(await codeOf(append(kept))).toBe('done')
    expect(await codeOf(log.check())).toBe('done')
    await until('all records', () => tail.records.length === kept + 1)
    await log.close()
    const again = await openEmbeddedLog({ folder: join(disk, 'log') })
    const total = (await again.topics())[0]?.bounds.reduce((sum, { high }) => sum + high, 0)
    expect(total).toBe(kept + 1)
    await again.close()
    rmSync(join(disk, 'log'), { recursive: true })
  })

  it('the document store refuses with store-full, and goes on by itself when there is room', async () => {
    const store = await openSqliteDocuments({ folder: join(disk, 'documents') })
    writeFileSync(join(disk, 'ballast'), Buffer.alloc(4 * 1024 * 1024))
    let kept = 0
    const write = () => store.upsert('patients', [{ id: `p${kept}`, site: 's', sealed: 'x'.repeat(50_000) }])
    let code = 'done'
    while (code === 'done') {
      code = await codeOf(write())
      if (code === 'done') kept += 1
    }
    expect(code).toBe('store-full')
    expect(await store.count('patients')).toBe(kept)
    unlinkSync(join(disk, 'ballast'))
    await write()
    expect(await store.count('patients')).toBe(kept + 1)
    await store.close()
  })
})
