/**
 * Images a second through a replay while nothing else runs (log, codec, routing, the model, the log again, and persist writing
 * documents), over the engine alone on the same images, and over bare session.run() in as many single-threaded processes.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import pino from 'pino'
import { openPorts, storesOf } from '../../cli/ports.ts'
import { allStages } from '../../cli/stages.ts'
import { compile } from '../../kafka/compile.ts'
import { toRecord } from '../../kafka/runner/attempt.ts'
import { run } from '../../kafka/runner.ts'
import { instanceOf, writeModel } from '../../models/testing.ts'
import { systemClock } from '../../monitoring/clock.ts'
import { isEnded, type ReplayDoc } from '../../schemas/replay.ts'
import { type Instance, topics } from '../../schemas/topics.ts'
import { cpuMsOf, treeOf } from '../../tests/harness/cost.ts'
import { until } from '../../tests/harness/until.ts'
import { openRaw } from '../engine/raw.ts'
import type { Scenario } from '../engine/scenarios.ts'
import { median, type Row, round } from '../table.ts'

interface Extent {
  /** Of one replay. */
  images: number
  rounds: number
  workers: number
}

const inFlight = 64
const runtimeMs = 3_000
/** Nothing live has come for so long that the engine takes all that there is of a replay, ms. */
export const quietMs = 2_500

/** @param share of what the runtime does alone */
export const aimOf = (share: number) => ({ 'at least 0.95 of the runtime': share >= 0.95 ? 'met' : 'not met' })

/** CPU time of this process and its workers so far, ms. Says the same where others use the cores too. */
const cpuMs = () => cpuMsOf(treeOf([process.pid]))

export async function throughput(scenario: Scenario, { images, rounds, workers }: Extent): Promise<Row> {
  const folder = mkdtempSync(join(tmpdir(), 'raylog-bench-replay-'))
  const logger = pino({ level: 'warn' })
  const accepts = { contentTypes: [], modalities: [], bodyParts: [], views: [], photometric: [] }
  writeModel(join(folder, 'models'), 'model', { ...scenario.manifest, accepts }, scenario.weights)
  const plan = compile(allStages, {
    data: join(folder, 'data'),
    stages: ['replay', 'persist'],
    models: { builtIn: false, folders: [join(folder, 'models')], workers },
    replay: { beatMs: 100 },
  })
  const surroundings = { logger, clock: systemClock }
  const { weights, manifest, shape } = scenario
  const runtime = await openRaw(workers, { weights, input: manifest.input.name, shape })
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
      await wait(quietMs)
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
    what: `embedded, ${scenario.name}`,
    figures: {
      'runtime alone, images/s': round(median(turns.map(turn => turn.runtime)), 1),
      'engine, images/s': round(median(turns.map(({ raw }) => raw)), 1),
      'replay, images/s': round(median(turns.map(({ replay }) => replay)), 1),
      'replay over engine': round(median(turns.map(({ raw, replay }) => replay / raw)), 3),
      'replay over runtime': round(median(turns.map(turn => turn.replay / turn.runtime)), 3),
      'engine, CPU ms an image': round(median(turns.map(({ rawCpu }) => rawCpu)), 2),
      'replay, CPU ms an image': round(median(turns.map(({ cpu }) => cpu)), 2),
      'engine over replay, CPU': round(median(turns.map(({ rawCpu, cpu }) => rawCpu / cpu)), 3),
      ...aimOf(median(turns.map(turn => turn.replay / turn.runtime))),
    },
  }
}
