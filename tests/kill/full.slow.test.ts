/** A disk that fills up: senders are refused, nothing acknowledged is lost, and it goes on by itself when there is room. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chestDicom } from '../../producers/simulator/phantoms.ts'
import { census, isIdle } from '../harness/census.ts'
import { type Raylog, startRaylog } from '../harness/raylog.ts'
import { until } from '../harness/until.ts'

const isRoot = process.getuid?.() === 0 && process.platform === 'linux'

describe.skipIf(!isRoot)('a data folder on a file system of 96 MB (needs root, to mount it)', () => {
  const mount = mkdtempSync(join(tmpdir(), 'raylog-full-'))
  let raylog: Raylog

  beforeAll(async () => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=96m', 'tmpfs', mount])
    mkdirSync(join(mount, 'data'))
    raylog = await startRaylog({ data: join(mount, 'data'), set: ['logLevel=warn'] })
  })
  afterAll(async () => {
    await raylog[Symbol.asyncDispose]()
    execFileSync('umount', [mount])
    rmSync(mount, { recursive: true })
  })

  async function send(seed: number): Promise<{ status: number; id: string | undefined }> {
    const form = new FormData()
    form.append('file', new Blob([new Uint8Array(chestDicom(seed, { size: 256 }))]), 'chest.dcm')
    const response = await raylog.post('/api/v1/instances', form)
    const body = (await response.json()) as { items?: { id?: string }[] }
    return { status: response.status, id: response.ok ? body.items?.[0]?.id : undefined }
  }

  it('refuses senders while it is full, keeps what it acknowledged, and goes on when there is room', async () => {
    const acknowledged: string[] = []
    // Something else takes nearly all of the room.
    const { bavail, bsize } = statfsSync(mount)
    const ballast = join(mount, 'ballast')
    writeFileSync(ballast, Buffer.alloc(Math.max(0, bavail * bsize - 6_000_000), 1))

    let refused = 0
    for (let seed = 0; refused < 5 && seed < 400; seed++) {
      const { status, id } = await send(seed)
      if (id) acknowledged.push(id)
      else {
        expect([507, 503]).toContain(status)
        refused++
      }
    }
    expect(refused).toBe(5)
    expect(acknowledged.length).toBeGreaterThan(0)
    const health = await (await raylog.get('/api/v1/monitoring/health')).json()
    expect(health).toMatchObject({ ok: false })

    rmSync(ballast)
    await until('it takes images again', async () => {
      const { id } = await send(1_000)
      if (id) acknowledged.push(id)
      return id !== undefined
    })
    await until('every stage is idle', () => isIdle(raylog), { deadlineMs: 120_000, everyMs: 200 })
    const found = await census(raylog)
    expect(found.parked).toEqual([])
    expect(new Set(found.instances.map(({ id }) => id))).toEqual(new Set(acknowledged))
    expect(found.predictions).toHaveLength(found.instances.length)
    expect(found.reports).toHaveLength(found.instances.length)
  })
})
