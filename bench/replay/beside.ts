/**
 * Live images with and without a replay beside them, in turns, at about half of what the system can do: from the
 * acknowledgement of an image to its live message on a dashboard. And a replay while nothing else runs.
 */
import { availableParallelism } from 'node:os'
import { setTimeout as wait } from 'node:timers/promises'
import { io } from 'socket.io-client'
import type { Prediction } from '../../schemas/topics.ts'
import { isIdle } from '../../tests/harness/census.ts'
import { storeAll } from '../../tests/harness/cstore.ts'
import { smallRadiograph } from '../../tests/harness/senders.ts'
import { until } from '../../tests/harness/until.ts'
import { ask, type Replay } from '../../tests/pipeline/replay-kit.ts'
import { openRaw } from '../engine/raw.ts'
import { median, quantile, type Row, round } from '../table.ts'
import type { Candidate, System } from './systems.ts'
import { aimOf, quietMs } from './throughput.ts'

export interface Turns {
  rounds: number
  /** Of each turn with live images. */
  seconds: number
  /** Images that are there to be replayed. */
  past: number
}

const lanes = 4
const runtimeMs = 3_000

/** The dashboard: when each image was first seen to be predicted, by its SOP instance. */
async function watch({ gateway }: System) {
  const socket = io(gateway.url, { path: '/live', auth: { token: gateway.token }, transports: ['websocket'] })
  const sopOf = new Map<string, string>()
  const seen = new Map<string, number>()
  socket.on('instance', ({ event }: { event: { id: string; dicom: { sopInstance: string } } }) =>
    sopOf.set(event.id, event.dicom.sopInstance),
  )
  socket.on('prediction', ({ event }: { event: Prediction }) => seen.set(event.instance, performance.now()))
  await new Promise<void>(done => {
    socket.once('connect', done)
  })
  await socket.emitWithAck('join', { rooms: ['all'] })
  return {
    count: () => seen.size,
    latencies: (acknowledged: ReadonlyMap<string, number>) =>
      [...seen].flatMap(([instance, at]) => {
        const acked = acknowledged.get(sopOf.get(instance) ?? '')
        return acked === undefined ? [] : [at - acked]
      }),
    close: () => socket.close(),
  }
}

/** @throws where it has failed: what it did until then is no figure */
async function look(gateway: System['gateway'], id: string) {
  const replay = await gateway.json<Replay & { perSecond: number }>(`/api/v1/replays/${id}`)
  if (replay.state === 'failed') throw new Error(`the replay ${id} has failed: ${replay.error?.code}`)
  return replay
}

/** Replays of all that has come, one after the other, until stopped. @returns how many images were replayed meanwhile */
async function replaying({ gateway }: System, model: string, during: () => Promise<unknown>): Promise<number> {
  const begin = () => ask<Replay>(gateway, 'replays', { model, from: 0, to: Date.now() + 1_000 })
  let id = (await begin()).id
  let replayed = 0
  let over = false
  const following = (async () => {
    while (!over) {
      const { state, counts } = await look(gateway, id)
      if (state === 'done') {
        replayed += counts.predicted
        id = (await begin()).id
      }
      await wait(250)
    }
  })()
  const live = during().finally(() => {
    over = true
  })
  await Promise.all([live, following])
  replayed += (await look(gateway, id)).counts.predicted
  await gateway.post(`/api/v1/replays/${id}/cancel`)
  await until('it is over', async () => ['done', 'cancelled'].includes((await look(gateway, id)).state))
  return replayed
}

export async function besideReplay(system: System, candidate: Candidate, turns: Turns): Promise<Row> {
  const { intake, gateway, what } = system
  const { rounds, seconds, past } = turns
  const model = `${candidate.manifest.name}@2`
  const dashboard = await watch(system)
  const begun = performance.now()
  await storeAll(
    intake.dicomPort,
    Array.from({ length: past }, (_, n) => smallRadiograph(n)),
    { associations: 8 },
  )
  const through = async () => dashboard.count() === past && (await isIdle(gateway))
  await until('all are through', through, { deadlineMs: 600_000 })
  const rate = past / ((performance.now() - begun) / 1_000) / 2
  let sent = 1_000_000
  const label = { alone: [] as number[], beside: [] as number[] }

  async function live(into: number[]): Promise<void> {
    const acknowledged = new Map<string, number>()
    const before = dashboard.count()
    const from = performance.now()
    const count = Math.ceil(rate * seconds)
    const lane = async (first: number) => {
      for (let n = first; n < count; n += lanes) {
        const due = from + (n / rate) * 1_000
        if (due > performance.now()) await wait(due - performance.now())
        const one = smallRadiograph(sent++)
        await storeAll(intake.dicomPort, [one], { associations: 1 })
        acknowledged.set(one.sopInstance, performance.now())
      }
    }
    await Promise.all(Array.from({ length: lanes }, (_, first) => lane(first)))
    await until('all are through', () => dashboard.count() >= before + count, { deadlineMs: 300_000 })
    into.push(...dashboard.latencies(acknowledged))
  }

  await live([])
  let replayed = 0
  let besideMs = 0
  for (let n = 0; n < rounds; n++) {
    if (n % 2 === 0) await live(label.alone)
    const from = performance.now()
    replayed += await replaying(system, model, () => live(label.beside))
    besideMs += performance.now() - from
    if (n % 2 === 1) await live(label.alone)
  }
  dashboard.close()
  await until('all are through', () => isIdle(gateway), { deadlineMs: 600_000 })
  const p99 = { alone: quantile(label.alone, 0.99), beside: quantile(label.beside, 0.99) }
  const ratio = p99.beside / p99.alone
  return {
    what: `${what}, ${round(rate, 1)} live images/s`,
    figures: {
      'alone, p50 ms': round(median(label.alone), 1),
      'alone, p99 ms': round(p99.alone, 1),
      'beside a replay, p50 ms': round(median(label.beside), 1),
      'beside a replay, p99 ms': round(p99.beside, 1),
      'live images of each': label.beside.length,
      'replayed beside, images/s': round(replayed / (besideMs / 1_000), 1),
      'p99 beside over alone': round(ratio, 2),
      'at most 1.5 times': ratio <= 1.5 ? 'met' : 'not met',
      ...(await undisturbed(system, candidate, rounds)),
    },
  }
}

/** A replay of all that has come while nothing live does, over the runtime alone, in turns. */
async function undisturbed({ gateway }: System, { manifest, weights, shape }: Candidate, rounds: number) {
  const runtime = await openRaw(availableParallelism(), { weights, input: manifest.input.name, shape })
  const turns: { runtime: number; replay: number }[] = []
  for (let n = 0; n < rounds; n++) {
    const { perSecond } = await runtime.measure(runtimeMs)
    await wait(quietMs)
    const { id } = await ask<Replay>(gateway, 'replays', {
      model: `${manifest.name}@2`,
      from: 0,
      to: Date.now() + 1_000,
    })
    const done = await until(
      'the replay is done',
      async () => {
        const now = await look(gateway, id)
        return now.state === 'done' ? now : undefined
      },
      { deadlineMs: 900_000, everyMs: 100 },
    )
    turns.push({ runtime: perSecond, replay: done.perSecond })
    await until('its predictions are documents', () => isIdle(gateway), { deadlineMs: 300_000 })
  }
  runtime.close()
  const share = median(turns.map(turn => turn.replay / turn.runtime))
  return {
    'runtime alone, images/s': round(median(turns.map(turn => turn.runtime)), 1),
    'replay, images/s': round(median(turns.map(turn => turn.replay)), 1),
    'replay over runtime': round(share, 3),
    ...aimOf(share),
  }
}
