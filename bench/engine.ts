/**
 * The engine against the runtime alone: images a second through Models.predict (fetch, check, decode, prepare, run, read)
 * over those of bare session.run() in as many single-threaded processes. Both take turns, so that what else the machine
 * does falls on both; the ratio is the median over the rounds. The CPU time of an image (of the workers, and of this
 * process) says the same of a machine whose cores others use too, where images a second say little.
 *
 *   node bench/engine.ts [--seconds 3] [--rounds 5] [--workers N] [--only text] [--in-flight 64] [--providers cuda]
 */
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import pino from 'pino'
import { type Engine, openModels } from '../models/engine.ts'
import { instanceOf, temporaryFolder, testObjects, writeModel } from '../models/testing.ts'
import { createMetrics } from '../monitoring/metrics.ts'
import { platformConfig } from '../schemas/config.ts'
import type { Instance } from '../schemas/topics.ts'
import { cpuMsOf } from './cpu.ts'
import { openRaw } from './engine/raw.ts'
import { type Scenario, scenarios } from './engine/scenarios.ts'

const { values: flags } = parseArgs({
  options: {
    seconds: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '5' },
    workers: { type: 'string', default: String(availableParallelism()) },
    only: { type: 'string', default: '' },
    'in-flight': { type: 'string', default: '64' },
    providers: { type: 'string', default: 'cpu' },
  },
})
const ms = Number(flags.seconds) * 1000
const rounds = Number(flags.rounds)
const workers = Number(flags.workers)
const inFlight = Number(flags['in-flight'])
const providers = flags.providers.split(',')

/** Answers a second of a closed loop, counted after a run-up of a sixth of the time. */
async function throughput(engine: Engine, instances: readonly Instance[]) {
  const [info] = engine.list()
  if (info?.state !== 'ready') throw new Error(`the model is not ready: ${info?.reason}`)
  const { ref } = info
  const signal = new AbortController().signal
  const pids = engine.workers()
  const [workersBefore, mainBefore] = [cpuMsOf(pids), process.cpuUsage()]
  let all = 0
  const from = performance.now() + ms / 6
  const until = from + ms
  let answered = 0
  let images = 0
  let inferMs = 0
  async function loop(start: number) {
    for (let at = start; performance.now() < until; at += 1) {
      const instance = instances[at % instances.length]
      if (!instance) return
      const { timings } = await engine.predict(ref, instance, { priority: 'routine', signal })
      all += 1
      const now = performance.now()
      if (now < from || now >= until) continue
      answered += 1
      images += timings.batch
      inferMs += timings.inferMs / timings.batch
    }
  }
  await Promise.all(Array.from({ length: inFlight }, (_, start) => loop(start)))
  const { user, system } = process.cpuUsage(mainBefore)
  return {
    perSecond: (answered / ms) * 1000,
    batch: images / answered,
    inferMs: inferMs / answered,
    workerCpuMs: (cpuMsOf(pids) - workersBefore) / all,
    mainCpuMs: (user + system) / 1000 / all,
  }
}

const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

async function measure(scenario: Scenario) {
  using root = temporaryFolder()
  writeModel(join(root.path, 'models'), 'model', scenario.manifest, scenario.weights)
  const objects = testObjects(root.path)
  const instances = scenario.files.map(file =>
    instanceOf(objects.put(file, scenario.contentType), { rows: scenario.rows, columns: scenario.rows }),
  )
  const models = { builtIn: false, folders: [join(root.path, 'models')], workers, providers }
  const settings = platformConfig.parse({ models }).models
  const engine = await openModels({
    settings,
    objects,
    spoolFolder: join(root.path, 'spool'),
    metrics: createMetrics(),
    logger: pino({ level: 'warn' }),
  })
  const raw = await openRaw(workers, {
    weights: scenario.weights,
    input: scenario.manifest.input.name,
    shape: scenario.shape,
    providers,
  })
  const turns: Record<'raw' | 'rawCpuMs' | 'engine' | 'batch' | 'inferMs' | 'workerCpuMs' | 'mainCpuMs', number>[] = []
  for (let round = 0; round < rounds; round += 1) {
    const alone = await raw.measure(ms)
    const { perSecond, ...rest } = await throughput(engine, instances)
    turns.push({ raw: alone.perSecond, rawCpuMs: alone.cpuMs, engine: perSecond, ...rest })
  }
  raw.close()
  await engine.close()
  const of = (key: keyof (typeof turns)[number]) => median(turns.map(turn => turn[key]))
  return {
    scenario: scenario.name,
    raw: of('raw'),
    engine: of('engine'),
    ratio: median(turns.map(turn => turn.engine / turn.raw)),
    batch: of('batch'),
    inferMs: of('inferMs'),
    rawCpuMs: of('rawCpuMs'),
    workerCpuMs: of('workerCpuMs'),
    mainCpuMs: of('mainCpuMs'),
    cpuRatio: median(turns.map(turn => turn.rawCpuMs / turn.workerCpuMs)),
  }
}

const results: Awaited<ReturnType<typeof measure>>[] = []
for (const scenario of await scenarios()) {
  if (scenario.name.includes(flags.only)) results.push(await measure(scenario))
}
const round = (value: number, digits: number) => Number(value.toFixed(digits))
console.table(
  results.map(one => ({
    scenario: one.scenario,
    'runtime alone, images/s': round(one.raw, 1),
    'engine, images/s': round(one.engine, 1),
    ratio: round(one.ratio, 3),
    'mean batch': round(one.batch, 1),
    'CPU ms an image: alone': round(one.rawCpuMs, 2),
    workers: round(one.workerCpuMs, 2),
    main: round(one.mainCpuMs, 2),
    'ratio of CPU': round(one.cpuRatio, 3),
  })),
)
console.log(
  JSON.stringify({ workers, providers, seconds: ms / 1000, rounds, inFlight, node: process.version, results }),
)
