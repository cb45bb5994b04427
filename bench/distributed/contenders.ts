/** Whoever takes instances from a topic and makes documents of them, and one turn of it. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeModel } from '../../models/testing.ts'
import { type StoredObject, topics } from '../../schemas/topics.ts'
import { cpuMsOf, residentMbOf, treeOf } from '../../tests/harness/cost.ts'
import { until } from '../../tests/harness/until.ts'
import { startProcesses } from '../../tests/services/distributed/processes.ts'
import type { Scenario } from '../engine/scenarios.ts'
import type { Ground } from './ground.ts'

export interface Contender extends AsyncDisposable {
  /** Where it reads instances. */
  topic: string
  /** Predictions that are documents. */
  done(): Promise<number>
  /** Whether nothing is left to do, documents other than predictions included. */
  isLevel(): Promise<boolean>
  /** Those that it was started as, without what these started. */
  pids(): number[]
}

/** Of each of Raylog's own topics. */
export const partitions = 6

export interface Turn {
  perSecond: number
  /** Of all its processes. */
  cpuMs: number
  /** Of Kafka, S3 and the document database meanwhile. */
  servicesCpuMs: number
  residentMb: number
}

/** Raylog as a user starts it for this and nothing else: `infer` and `persist` in one process, or in several that share the workers. */
export async function raylogContender(
  ground: Ground,
  scenario: Scenario,
  { workers, processes: count = 1 }: { workers: number; processes?: number },
): Promise<Contender> {
  if (workers % count !== 0 || partitions % count !== 0)
    throw new RangeError(
      `${workers} workers and ${partitions} partitions cannot be shared evenly by ${count} processes`,
    )
  await using starting = new AsyncDisposableStack()
  const folder = mkdtempSync(join(tmpdir(), 'raylog-bench-models-'))
  starting.defer(() => rmSync(folder, { recursive: true, force: true }))
  mkdirSync(folder, { recursive: true })
  writeModel(folder, 'model', scenario.manifest, scenario.weights)
  const set = [
    'models.builtIn=false',
    `models.folders=["${folder}"]`,
    `models.workers=${workers / count}`,
    'logLevel=warn',
  ]
  const groups = Object.fromEntries(Array.from({ length: count }, (_, n) => [`part-${n + 1}`, ['infer', 'persist']]))
  const processes = starting.use(await startProcesses(ground.services, groups, { set }))
  const before = await ground.documents('raylog', 'predictions')
  const running = starting.move()
  return {
    topic: topics.instances.name,
    done: async () => (await ground.documents('raylog', 'predictions')) - before,
    isLevel: async () =>
      (await ground.documents('raylog', 'predictions')) === (await ground.documents('raylog', 'instances')),
    pids: () => processes.all.map(({ pid }) => pid),
    async [Symbol.asyncDispose]() {
      // Orderly: what was not committed would be done again by the next, with its model, and never be level.
      await Promise.all(processes.all.map(one => one.stop()))
      await running.disposeAsync()
    },
  }
}

/** One turn: so many instances are appended, and the time is taken until their predictions are documents. */
export async function turn(
  ground: Ground,
  contender: Contender,
  { scenario, objects, count }: { scenario: Scenario; objects: readonly StoredObject[]; count: number },
): Promise<Turn> {
  const append = await ground.prepare(contender.topic, scenario, objects, count)
  const expected = (await contender.done()) + count
  const pids = treeOf(contender.pids())
  const [cpu, servicesCpu] = [cpuMsOf(pids), ground.servicesCpuMs()]
  const began = performance.now()
  await append()
  const left = async () => expected - (await contender.done())
  // To ask is work too, the database's above all: often only when little is left.
  await until('little is left', async () => (await left()) < count / 10, { deadlineMs: 900_000, everyMs: 200 })
  await until('every prediction is a document', async () => (await left()) <= 0, { deadlineMs: 900_000, everyMs: 25 })
  const seconds = (performance.now() - began) / 1_000
  const residentMb = residentMbOf(pids)
  await until('all is level', () => contender.isLevel(), { deadlineMs: 120_000 })
  return {
    perSecond: count / seconds,
    cpuMs: (cpuMsOf(pids) - cpu) / count,
    servicesCpuMs: (ground.servicesCpuMs() - servicesCpu) / count,
    residentMb,
  }
}
