/**
 * The pipeline against the runtime alone: instances already on the log until their predictions are in the documents (log,
 * runner, batcher, workers, log, documents, all in one process with its workers), over bare session.run() in as many
 * single-threaded processes, in turns.
 *
 *   node bench/pipeline.ts [--seconds 6] [--images 400] [--rounds 5] [--workers N] [--only text]
 *
 * A turn takes its seconds or its images, whichever is more: of a slow model, the seconds alone would hold so few images
 * that the last of them, when a worker has nothing left to do, would count for a percent.
 */
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import pino from 'pino'
import { beginWithFewArenas } from '../cli/few-arenas.ts'
import { openPorts, storesOf } from '../cli/ports.ts'
import { allStages } from '../cli/stages.ts'
import { compile } from '../kafka/compile.ts'
import { toRecord } from '../kafka/runner/attempt.ts'
import { run } from '../kafka/runner.ts'
import { instanceOf, writeModel } from '../models/testing.ts'
import { systemClock } from '../monitoring/clock.ts'
import { topics } from '../schemas/topics.ts'
import { until } from '../tests/harness/until.ts'
import { cpuMsOf, treeOf } from './cpu.ts'
import { openRaw } from './engine/raw.ts'
import { type Scenario, scenarios } from './engine/scenarios.ts'
import { markdown, median, type Row, round } from './table.ts'

// As `raylog start` does.
beginWithFewArenas()

const { values: flags } = parseArgs({
  options: {
    seconds: { type: 'string', default: '6' },
    images: { type: 'string', default: '400' },
    rounds: { type: 'string', default: '5' },
    workers: { type: 'string', default: String(availableParallelism()) },
    only: { type: 'string', default: '' },
  },
})
const workers = Number(flags.workers)

async function measure(scenario: Scenario): Promise<Row> {
  const folder = mkdtempSync(join(tmpdir(), 'raylog-bench-pipeline-'))
  writeModel(join(folder, 'models'), 'model', scenario.manifest, scenario.weights)
  const surroundings = { logger: pino({ level: 'warn' }), clock: systemClock }
  const plan = compile(allStages, {
    data: join(folder, 'data'),
    stages: ['infer', 'persist'],
    models: { builtIn: false, folders: [join(folder, 'models')], workers },
  })
  const opened = await openPorts(plan, surroundings, await storesOf(plan, surroundings))
  const { log, codec, objects, documents } = opened.ports
  const stored = await Promise.all(scenario.files.map(file => objects.put(file, scenario.contentType)))
  const raw = await openRaw(workers, {
    weights: scenario.weights,
    input: scenario.manifest.input.name,
    shape: scenario.shape,
  })

  let expected = 0
  /** @returns images a second, and the CPU time of all processes for an image, ms */
  async function pipeline(count: number): Promise<{ perSecond: number; cpuMs: number }> {
    const records = await Promise.all(
      Array.from({ length: count }, (_, n) => {
        const object = stored[n % stored.length]
        if (!object) throw new Error('no object')
        const instance = instanceOf(object, { rows: scenario.rows, columns: scenario.rows })
        return toRecord(codec, topics.instances, { ...instance, id: `in_${randomUUID()}`, study: `st_${n % 40}` })
      }),
    )
    await log.append(records)
    expected += count
    const pids = treeOf(process.pid)
    const cpu = cpuMsOf(pids)
    const started = performance.now()
    const running = await run(plan, opened.ports, opened.platform)
    // To ask is work too: often only when little is left, which takes longer than the last wait before it.
    const few = count / 10
    const left = async () => (await log.lag('infer')).reduce((sum, { lag }) => sum + lag, 0)
    await until('little is left', async () => (await left()) < few, { deadlineMs: 600_000, everyMs: 100 })
    await until('every prediction is a document', async () => (await documents.count('predictions')) === expected, {
      deadlineMs: 600_000,
      everyMs: 25,
    })
    const seconds = (performance.now() - started) / 1_000
    await running.stop()
    return { perSecond: count / seconds, cpuMs: (cpuMsOf(pids) - cpu) / count }
  }

  await raw.measure(Number(flags.seconds) * 500)
  const warm = await pipeline(200)
  // As many as it does in the time: a model of half a ms is far ahead of what surrounds it.
  const count = Math.max(Math.ceil(warm.perSecond * Number(flags.seconds)), Number(flags.images))
  const ms = (count / warm.perSecond) * 1_000
  const turns: { raw: number; pipeline: number; rawCpuMs: number; cpuMs: number }[] = []
  for (let turn = 0; turn < Number(flags.rounds); turn++) {
    const alone = await raw.measure(ms)
    const { perSecond, cpuMs } = await pipeline(count)
    turns.push({ raw: alone.perSecond, rawCpuMs: alone.cpuMs, pipeline: perSecond, cpuMs })
  }
  raw.close()
  await opened[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true })
  return {
    what: scenario.name,
    figures: {
      'runtime alone, images/s': round(median(turns.map(turn => turn.raw)), 1),
      'pipeline, images/s': round(median(turns.map(turn => turn.pipeline)), 1),
      ratio: round(median(turns.map(turn => turn.pipeline / turn.raw)), 3),
      'CPU ms an image, alone': round(median(turns.map(turn => turn.rawCpuMs)), 2),
      'pipeline, all processes': round(median(turns.map(turn => turn.cpuMs)), 2),
      'ratio of CPU': round(median(turns.map(turn => turn.rawCpuMs / turn.cpuMs)), 3),
    },
  }
}

const rows: Row[] = []
for (const scenario of await scenarios()) if (scenario.name.includes(flags.only)) rows.push(await measure(scenario))
console.log(markdown(rows))
console.log(JSON.stringify({ bench: 'pipeline', workers, rows }))
