/**
 * Replays against what they could be and what they must not disturb.
 *
 * 1. Throughput when nothing else runs: images a second through a replay (log, codec, routing, the model, the log again,
 *    and persist writing documents), over the engine alone on the same images, and over bare session.run() in as many
 *    single-threaded processes. All take turns.
 * 2. Latency of live images from the acknowledgement to the live message, with and without a replay beside them, in turns,
 *    at about half of what the process can do.
 *
 *   node bench/replay.ts [--images 400] [--rounds 5] [--seconds 8] [--only throughput|latency] [--model text]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import pino from 'pino'
import { io } from 'socket.io-client'
import { openPorts, storesOf } from '../cli/ports.ts'
import { allStages } from '../cli/stages.ts'
import { compile } from '../kafka/compile.ts'
import { toRecord } from '../kafka/runner/attempt.ts'
import { run } from '../kafka/runner.ts'
import { instanceOf, writeModel } from '../models/testing.ts'
import { systemClock } from '../monitoring/clock.ts'
import { isEnded, type ReplayDoc } from '../schemas/replay.ts'
import { type Instance, type Prediction, topics } from '../schemas/topics.ts'
import { isIdle } from '../tests/harness/census.ts'
import { cpuMsOf, treeOf } from '../tests/harness/cost.ts'
import { storeAll } from '../tests/harness/cstore.ts'
import { smallRadiograph } from '../tests/harness/senders.ts'
import { until } from '../tests/harness/until.ts'
import { ask, type Replay, startWithVersions } from '../tests/pipeline/replay-kit.ts'
import { openRaw } from './engine/raw.ts'
import { type Scenario, scenarios } from './engine/scenarios.ts'
import { markdown, median, quantile, type Row, round } from './table.ts'

const { values: flags } = parseArgs({
  options: {
    images: { type: 'string', default: '400' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '8' },
    only: { type: 'string', default: '' },
    model: { type: 'string', default: '' },
  },
})
const images = Number(flags.images)
const rounds = Number(flags.rounds)
const seconds = Number(flags.seconds)
const inFlight = 64
const runtimeMs = 3_000

/** CPU time of this process and its workers so far, ms. Says the same where others use the cores too. */
const cpuMs = () => cpuMsOf(treeOf([process.pid]))

async function throughput(scenario: Scenario): Promise<Row> {
  const folder = mkdtempSync(join(tmpdir(), 'raylog-bench-replay-'))
  const logger = pino({ level: 'warn' })
  const accepts = { contentTypes: [], modalities: [], bodyParts: [], views: [], photometric: [] }
  writeModel(join(folder, 'models'), 'model', { ...scenario.manifest, accepts }, scenario.weights)
  const plan = compile(allStages, {
    data: join(folder, 'data'),
    stages: ['replay', 'persist'],
    models: { builtIn: false, folders: [join(folder, 'models')] },
    replay: { beatMs: 100 },
  })
  const surroundings = { logger, clock: systemClock }
  const { weights, manifest, shape } = scenario
  const runtime = await openRaw(availableParallelism(), { weights, input: manifest.input.name, shape })
  const turns: { runtime: number; raw: number; replay: number; rawCpu: number; cpu: number }[] = []
  {
    await using opened = await openPorts(plan, surroundings, await storesOf(plan, surroundings))
    const { ports, platform } = opened
    await using running = await run(plan, ports, platform)
    void running
    const objects = await Promise.all(scenario.files.map(file => ports.objects.put(file, scenario.contentType)))
    const all: Instance[] = Array.from({ length: images }, (_, n) => {
      const { bytes, contentType, key, sha256 } = objects[n % objects.length] ?? {}
      if (!bytes || !contentType || !key || !sha256) throw new Error('there are no images')
      const size = { rows: scenario.rows, columns: scenario.rows }
      return instanceOf({ key, sha256, bytes, contentType }, { ...size, id: `in_${n}`, study: `st_${n}` })
    })
    await ports.log.append(await Promise.all(all.map(one => toRecord(ports.codec, topics.instances, one))))
    await until('persist is level', async () => (await ports.documents.count('instances')) === images)
    const [info] = ports.models.list()
    if (info?.state !== 'ready') throw new Error('the model is not ready')

    async function raw(): Promise<number> {
      const signal = new AbortController().signal
      let next = 0
      const begun = performance.now()
      const lane = async () => {
        for (let one = all[next++]; one; one = all[next++]) {
          if (info) await ports.models.predict(info.ref, one, { priority: 'routine', signal })
        }
      }
      await Promise.all(Array.from({ length: inFlight }, lane))
      return images / ((performance.now() - begun) / 1_000)
    }

    async function replayed(n: number): Promise<number> {
      // Nothing live has come for a while: that is what is measured here.
      await wait(2_500)
      const topic = (await ports.log.topics()).find(({ name }) => name === topics.instances.name)
      const doc: ReplayDoc = {
        id: `rr_${n}`,
        model: { name: scenario.manifest.name, version: scenario.manifest.version },
        ...{ from: 0, to: Date.now() + 1_000, sites: [], studies: [], modalities: [], ratePerSecond: null },
        ranges: (topic?.bounds ?? []).map(({ partition, low, high }) => ({ partition, from: low, to: high })),
        ...{ wanted: 'run', phase: 'open', createdAt: Date.now() },
      }
      await ports.documents.insert('replays', doc)
      const last = await until(
        'the replay ends',
        async () => {
          const { items } = await ports.documents.find('replayRuns', { where: { replay: doc.id }, limit: 1 })
          return items[0] && isEnded(items[0].state) ? items[0] : undefined
        },
        { deadlineMs: 900_000 },
      )
      if (last.counts.predicted !== images) throw new Error(`only ${JSON.stringify(last.counts)}`)
      return (images / last.activeMs) * 1_000
    }

    await raw()
    for (let n = 0; n < rounds; n++) {
      // Each after the other as often as before it.
      const { perSecond } = await runtime.measure(runtimeMs)
      const turn = { runtime: perSecond, raw: 0, replay: 0, rawCpu: 0, cpu: 0 }
      const alone = async () => {
        const before = cpuMs()
        turn.raw = await raw()
        turn.rawCpu = (cpuMs() - before) / images
      }
      if (n % 2 === 0) await alone()
      const before = cpuMs()
      turn.replay = await replayed(n)
      const said = (n + 1) * images
      await until('persist is level', async () => (await ports.documents.count('replayed')) === said)
      turn.cpu = (cpuMs() - before) / images
      if (n % 2 === 1) await alone()
      turns.push(turn)
    }
  }
  runtime.close()
  rmSync(folder, { recursive: true, force: true })
  return {
    what: `${scenario.name}: replay beside the engine alone`,
    figures: {
      'runtime alone, images/s': round(median(turns.map(turn => turn.runtime)), 1),
      'engine, images/s': round(median(turns.map(({ raw }) => raw)), 1),
      'replay, images/s': round(median(turns.map(({ replay }) => replay)), 1),
      'replay over engine': round(median(turns.map(({ raw, replay }) => replay / raw)), 3),
      'replay over runtime': round(median(turns.map(turn => turn.replay / turn.runtime)), 3),
      'engine, CPU ms an image': round(median(turns.map(({ rawCpu }) => rawCpu)), 2),
      'replay, CPU ms an image': round(median(turns.map(({ cpu }) => cpu)), 2),
      'engine over replay, CPU': round(median(turns.map(({ rawCpu, cpu }) => rawCpu / cpu)), 3),
    },
  }
}

async function latency(): Promise<Row[]> {
  await using system = await startWithVersions(['replay.leaseMs=6000', 'replay.beatMs=500'])
  const { raylog } = system
  const socket = io(raylog.url, { path: '/live', auth: { token: raylog.token }, transports: ['websocket'] })
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
  const past = 1_000
  const begun = performance.now()
  await storeAll(
    raylog.dicomPort,
    Array.from({ length: past }, (_, n) => smallRadiograph(n)),
    { associations: 8 },
  )
  await until('all are through', () => seen.size === past && isIdle(raylog), { deadlineMs: 300_000 })
  const rate = past / ((performance.now() - begun) / 1_000) / 2
  let sent = 1_000_000
  let replayed = 0

  async function live(): Promise<number[]> {
    const acknowledged = new Map<string, number>()
    const before = seen.size
    const from = performance.now()
    const count = Math.floor(rate * seconds)
    const lane = async (first: number) => {
      for (let n = first; n < count; n += 4) {
        const due = from + (n / rate) * 1_000
        if (due > performance.now()) await wait(due - performance.now())
        const one = smallRadiograph(sent++)
        await storeAll(raylog.dicomPort, [one], { associations: 1 })
        acknowledged.set(one.sopInstance, performance.now())
      }
    }
    await Promise.all([0, 1, 2, 3].map(lane))
    await until('all are through', () => seen.size >= before + count, { deadlineMs: 120_000 })
    return [...seen].flatMap(([instance, at]) => {
      const acked = acknowledged.get(sopOf.get(instance) ?? '')
      return acked === undefined ? [] : [at - acked]
    })
  }

  async function beside(): Promise<number[]> {
    const { id } = await ask<Replay>(raylog, 'replays', { model: 'pneumonia@2', from: 0, to: Date.now() + 1_000 })
    // So much that it does not end meanwhile: another follows as soon as it does.
    const ids = [id]
    let over = false
    const following = (async () => {
      while (!over) {
        const now = await raylog.json<Replay>(`/api/v1/replays/${ids.at(-1)}`)
        if (now.state === 'done') {
          const next = await ask<Replay>(raylog, 'replays', { model: 'pneumonia@2', from: 0, to: Date.now() })
          ids.push(next.id)
        }
        await wait(250)
      }
    })()
    const found = await live()
    over = true
    await following
    for (const one of ids) await raylog.post(`/api/v1/replays/${one}/cancel`)
    for (const one of ids) {
      const ended = await until('it is over', async () => {
        const now = await raylog.json<Replay>(`/api/v1/replays/${one}`)
        return ['done', 'cancelled'].includes(now.state) ? now : undefined
      })
      replayed += ended.counts.predicted
    }
    return found
  }

  await live()
  const alone: number[] = []
  const besides: number[] = []
  for (let n = 0; n < rounds; n++) {
    if (n % 2 === 0) alone.push(...(await live()))
    besides.push(...(await beside()))
    if (n % 2 === 1) alone.push(...(await live()))
  }
  socket.close()
  const row = (what: string, values: readonly number[]): Row => ({
    what,
    figures: {
      'p50 ms': round(quantile(values, 0.5), 1),
      'p95 ms': round(quantile(values, 0.95), 1),
      'p99 ms': round(quantile(values, 0.99), 1),
      images: values.length,
    },
  })
  return [
    row(`live alone, ${round(rate)} images/s`, alone),
    row(`live beside a replay (${round(replayed / (rounds * seconds))} replayed a second)`, besides),
    { what: 'ratio', figures: { 'p99 ms': round(quantile(besides, 0.99) / quantile(alone, 0.99), 2) } },
  ]
}

const rows: Row[] = []
if (flags.only !== 'latency') {
  for (const scenario of await scenarios()) {
    if (/SqueezeNet, 224|ResNet|batches of 32/.test(scenario.name) && scenario.name.includes(flags.model))
      rows.push(await throughput(scenario))
  }
}
if (flags.only !== 'throughput') rows.push(...(await latency()))
console.log(markdown(rows))
console.log(JSON.stringify({ bench: 'replay', images, rounds, seconds, rows }))
