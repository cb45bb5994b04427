/**
 * A replay in a process of its own beside live work in others, on a real Kafka: what it gives way to, and that it counts each
 * image once though every process and the broker are killed while it runs.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { census, isIdle } from '../../harness/census.ts'
import { storeAll } from '../../harness/cstore.ts'
import type { Raylog } from '../../harness/raylog.ts'
import { smallRadiograph } from '../../harness/senders.ts'
import { until } from '../../harness/until.ts'
import { always, ask, noCounts, type Replay, reached, replayed, versionSettings } from '../../pipeline/replay-kit.ts'
import { type Processes, startProcesses } from './processes.ts'
import { type Services, startServices } from './services.ts'

const groups = {
  intake: ['dimse'],
  gateway: ['gateway', 'upload'],
  infer: ['infer'],
  replay: ['replay'],
  persist: ['persist'],
  others: ['report', 'notify'],
} as const
/** What is replayed. */
const images = 100
const open = new AsyncDisposableStack()
let services: Services
let of: Processes<keyof typeof groups>['of']
let sent = 0
/** When all that is replayed had come: what comes after it is live work. */
let past: number

interface Progress extends Replay {
  givesWayTo: string | null
}

beforeAll(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'raylog-replay-'))
  open.defer(() => rmSync(folder, { recursive: true }))
  services = open.use(await startServices())
  // A lease that outlives what a busy machine stands still for: who has it is not what is tested here.
  const set = ['logLevel=warn', ...versionSettings(join(folder, 'models')), 'replay.leaseMs=5000']
  ;({ of } = open.use(await startProcesses(services, groups, { set })))
  await send(images)
  await idle()
  past = Date.now()
}, 900_000)
afterAll(() => open.disposeAsync())

/** Each until it is acknowledged. */
async function send(count: number): Promise<void> {
  const numbers = Array.from({ length: count }, () => ++sent)
  await storeAll(of.intake.dicomPort, numbers.map(smallRadiograph))
}

const idle = () =>
  until('every stage is idle', () => isIdle(of.gateway).catch(() => false), { deadlineMs: 240_000, everyMs: 100 })
const begin = async (ratePerSecond: number | null = null) =>
  (await ask<Replay>(of.gateway, 'replays', { ...always, to: past, ratePerSecond })).id
const progress = (id: string) => of.gateway.json<Progress>(`/api/v1/replays/${id}`)

/** Runs of the candidate in the process of replays so far: all, and those of more than one image. */
async function runs(): Promise<{ all: number; larger: number }> {
  const text = await (await of.replay.get('/metrics')).text()
  const of2 = (pattern: string) =>
    Number(new RegExp(`^raylog_batch_size_images_${pattern}.* (\\d+)$`, 'm').exec(text)?.[1] ?? 0)
  const all = of2('count\\{[^}]*model="pneumonia@2"')
  return { all, larger: all - of2('bucket\\{le="1",[^}]*model="pneumonia@2"') }
}

/** Replays all of the past once. @returns the share of runs with more than one image */
async function shareOfLarger(): Promise<number> {
  const before = await runs()
  await reached(of.gateway, await begin(), 'done')
  const after = await runs()
  return (after.larger - before.larger) / (after.all - before.all)
}

describe('live work in other processes', { timeout: 600_000 }, () => {
  it('has a replay go one image at a time while images come, and in batches when none do', async () => {
    await until('it takes several at once', async () => (await shareOfLarger()) > 0.5, { deadlineMs: 240_000 })
    let over = false
    const coming = (async () => {
      while (!over) await send(1)
    })()
    try {
      await until('it goes one at a time', async () => (await shareOfLarger()) === 0, { deadlineMs: 240_000 })
    } finally {
      over = true
      await coming
    }
    await idle()
  })

  it('has it hold back while a few images wait, until they are done', async () => {
    // Slow enough that it is not done while all of this happens on a slow machine.
    const id = await begin(0.5)
    await until('it has begun', async () => (await progress(id)).counts.predicted >= 3)
    expect(await of.infer.stop()).toBe(0)
    await send(3)
    await until('it holds back', async () => (await progress(id)).givesWayTo === 'infer')
    const held = (await progress(id)).counts.predicted
    await of.infer.restart()
    const goesOn = async () => {
      const { givesWayTo, counts } = await progress(id)
      // One may have been under way.
      if (givesWayTo !== null) expect(counts.predicted).toBeLessThanOrEqual(held + 1)
      return givesWayTo === null && counts.predicted > held + 1
    }
    await until('it goes on', goesOn, { deadlineMs: 240_000 })
    await ask(of.gateway, `replays/${id}/cancel`)
    await reached(of.gateway, id, 'cancelled')
    await idle()
  })
})

describe('a replay', { timeout: 900_000 }, () => {
  it('counts each image once though each process and the broker are killed while it runs and live images come', async () => {
    const before = await census(of.gateway)
    const [broker] = services.kafka.nodes
    if (!broker) throw new Error('there is no broker')
    const id = await begin(1)
    const restarted = (one: Raylog) => () => one.kill().then(() => one.restart())
    const kills: [string, () => Promise<void>][] = [
      ['persist', restarted(of.persist)],
      ['infer', restarted(of.infer)],
      ['replay', restarted(of.replay)],
      ['broker', () => broker.kill().then(() => broker.start())],
      ['gateway', restarted(of.gateway)],
    ]
    let live = 0
    for (const [name, killed] of kills) {
      const { counts } = await progress(id)
      const goesOn = async () => {
        const now = await progress(id)
        expect(['waiting', 'running'], `while ${name} is to be killed`).toContain(now.state)
        return now.counts.predicted >= counts.predicted + 3
      }
      // It holds back until what was killed before runs again and has done what waited for it.
      await until(`it goes on before ${name} is killed`, goesOn, { deadlineMs: 240_000 })
      await Promise.all([killed(), send(4)])
      live += 4
    }
    expect(['waiting', 'running'], 'it was not done when the last was killed').toContain((await progress(id)).state)
    const done = await until(
      'the replay ends',
      async () => {
        const now = await progress(id)
        return ['waiting', 'running'].includes(now.state) ? undefined : now
      },
      { deadlineMs: 600_000, everyMs: 100 },
    )
    expect(done).toMatchObject({ state: 'done', error: null })
    expect(done.counts).toEqual({ ...noCounts, read: images, predicted: images })
    await idle()
    const said = await replayed(of.gateway, id)
    expect(said).toHaveLength(images)
    expect(new Set(said.map(one => one.instance)).size).toBe(images)
    const after = await census(of.gateway)
    expect(after.parked).toEqual([])
    expect(after.instances).toHaveLength(before.instances.length + live)
    expect(after.predictions.map(one => one.instance).sort()).toEqual(after.instances.map(one => one.id).sort())
    expect(Object.values(of).map(({ alive }) => alive)).not.toContain(false)
  })
})
