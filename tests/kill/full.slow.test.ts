/** A disk that fills up: senders are refused, nothing acknowledged is lost, and it goes on by itself when there is room. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chestDicom } from '../../producers/simulator/phantoms.ts'
import { census, isIdle } from '../harness/census.ts'
import { command } from '../harness/command.ts'
import { associate, statusOf, store as storeRequest } from '../harness/dicom-peer.ts'
import { type Raylog, startRaylog } from '../harness/raylog.ts'
import { radiograph } from '../harness/senders.ts'
import { titleOf } from '../harness/tools.ts'
import { until } from '../harness/until.ts'

const { missing } = titleOf('', ['storescu'])
const isRoot = process.getuid?.() === 0 && process.platform === 'linux'

describe.skipIf(!isRoot)('a data folder on a file system that becomes too small (needs root, to mount it)', () => {
  const mount = mkdtempSync(join(tmpdir(), 'raylog-full-'))
  let raylog: Raylog

  beforeAll(async () => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=900m', 'tmpfs', mount])
    mkdirSync(join(mount, 'data'))
    raylog = await startRaylog({ data: join(mount, 'data'), set: ['logLevel=warn'] })
  })
  afterAll(async () => {
    await raylog[Symbol.asyncDispose]()
    // Its workers, which have weights in it mapped, end when they hear that it is gone.
    await until('nobody uses it', () => spawnSync('umount', [mount]).status === 0)
    rmSync(mount, { recursive: true })
  })

  async function send(seed: number): Promise<{ status: number; id: string | undefined }> {
    const form = new FormData()
    form.append('file', new Blob([new Uint8Array(chestDicom(seed, { size: 256 }))]), 'chest.dcm')
    const response = await raylog.post('/api/v1/instances', form)
    const body = (await response.json()) as { items?: { id?: string }[] }
    return { status: response.status, id: response.ok ? body.items?.[0]?.id : undefined }
  }

  /** Leaves so many bytes of room: a tmpfs is as large as it is told to be, and nothing has to be written for it. */
  function leave(bytes: number): void {
    const { blocks, bfree, bsize } = statfsSync(mount)
    execFileSync('mount', ['-o', `remount,size=${(blocks - bfree) * bsize + bytes}`, mount])
  }

  /** Each image once, with its prediction and report, and nothing parked. */
  async function allAreThere(ids: readonly string[]): Promise<void> {
    const found = await census(raylog)
    expect(found.parked).toEqual([])
    expect(found.instances.map(({ id }) => id).toSorted()).toEqual(ids.toSorted())
    expect(found.predictions).toHaveLength(found.instances.length)
    expect(found.reports).toHaveLength(found.instances.length)
  }

  /** What DCMTK's sender says of an image. */
  function storescu(port: number): string {
    const file = join(mkdtempSync(join(tmpdir(), 'raylog-full-')), 'chest.dcm')
    writeFileSync(file, chestDicom(14_000, { size: 256 }))
    const { stdout, stderr } = spawnSync('storescu', ['-v', '-aec', 'RAYLOG', '127.0.0.1', String(port), file], {
      encoding: 'utf8',
    })
    rmSync(dirname(file), { recursive: true })
    return stdout + stderr
  }

  it('refuses senders while it is full, keeps what it acknowledged, and goes on when there is room', async () => {
    const acknowledged: string[] = []
    leave(6_000_000)

    let refused = 0
    for (let seed = 0; refused < 5 && seed < 4_000; seed++) {
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
    expect((await command(['--data', join(mount, 'data'), 'doctor'])).stdout).toMatch(
      /WRONG +data folder .*(ENOSPC|no space)|note +data folder .*: little; senders are refused when it is full/,
    )

    leave(900_000_000)
    await until('it takes images again', async () => {
      const { id } = await send(1_000)
      if (id) acknowledged.push(id)
      return id !== undefined
    })
    await until('every stage is idle', () => isIdle(raylog), { deadlineMs: 120_000, everyMs: 200 })
    await allAreThere(acknowledged)
  })

  it('tells C-STORE senders 0xA700 while it is full, keeps what it acknowledged, and goes on when there is room', async () => {
    const known = (await census(raylog)).instances.map(({ id }) => id)
    const stored: string[] = []
    const statuses = new Set<number>()
    const first = radiograph(2_000, { size: 256 })
    const proposal = { contexts: [{ abstract: first.sopClass, syntaxes: [first.transferSyntax] }] }
    /** One image on an association of its own. @returns its status */
    async function store(n: number): Promise<number> {
      const { sopClass, sopInstance, dataSet } = radiograph(n, { size: 256 })
      using peer = await associate(raylog.dicomPort, proposal)
      peer.write(storeRequest({ sopClass, sopInstance }, dataSet))
      const { status } = statusOf(await peer.next())
      if (status === 0) stored.push(sopInstance)
      return status
    }
    // What just came stands in segments that have their room already, and so has the journal of the log (docs/adr/0012).
    expect(await store(1_900)).toBe(0)
    let before = 0
    const made = () => readdirSync(join(mount, 'data/objects/arrivals')).length
    await until(
      'there are segments, and no more are made',
      () => {
        const { bfree } = statfsSync(mount)
        const still = bfree === before
        before = bfree
        return still && made() > 0
      },
      { everyMs: 500 },
    )
    leave(4_000_000)
    // Several at once, as images come: some find a place where others find none.
    let refused = 0
    for (let n = 2_000; refused < 5 && n < 12_000; n += 4) {
      for (const status of await Promise.all([n, n + 1, n + 2, n + 3].map(store))) {
        statuses.add(status)
        if (status !== 0) refused++
      }
    }
    expect(statuses).toEqual(new Set([0, 0xa700]))
    expect(stored.length).toBeGreaterThan(0)
    // What is filed meanwhile makes room.
    let n = 13_000
    await until('there is no room at all', async () => {
      leave(0)
      const told = await Promise.all([n++, n++, n++].map(store))
      return told.every(status => status === 0xa700)
    })
    if (missing.length === 0) expect(storescu(raylog.dicomPort)).toMatch(/Refused: OutOfResources|0xa700/i)
    expect(await (await raylog.get('/api/v1/monitoring/health')).json()).toMatchObject({ ok: false })

    leave(900_000_000)
    await until('it takes images again', async () => (await store(n++)) === 0)
    await until('every stage is idle', () => isIdle(raylog), { deadlineMs: 120_000, everyMs: 200 })
    const { instances } = await census(raylog)
    const came = instances.filter(({ id }) => !known.includes(id))
    expect(new Set(came.map(({ dicom }) => dicom?.sopInstance))).toEqual(new Set(stored))
    await allAreThere([...known, ...came.map(({ id }) => id)])
  })
})
