/** A Raylog in either mode with a version of a model in production and another on standby, for live images beside replays. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ModelManifest, modelManifest } from '../../models/manifest.ts'
import { builtInFolder } from '../../models/registry.ts'
import { writeModel } from '../../models/testing.ts'
import { type Raylog, startRaylog } from '../../tests/harness/raylog.ts'
import { startProcesses, usualGroups } from '../../tests/services/distributed/processes.ts'
import type { Ground } from '../distributed/ground.ts'
import { heavyScenarios } from '../engine/scenarios.ts'

/** A model that is measured: both of its versions have the same weights. */
export interface Candidate {
  title: string
  manifest: ModelManifest
  weights: string
  /** Of a whole batch, for the runtime alone. */
  shape: number[]
}

export interface System extends AsyncDisposable {
  what: string
  intake: Raylog
  gateway: Raylog
}

/** One whose image takes a few ms; and one whose image takes many times as long, where the graphs of the shared folder are there. */
export function candidates(): Candidate[] {
  const folder = join(builtInFolder, 'pneumonia')
  const manifest = modelManifest.parse(JSON.parse(readFileSync(join(folder, 'model.json'), 'utf8')))
  const { width, height } = manifest.input
  const { max } = manifest.batch
  const short = { title: 'pneumonia', manifest, weights: join(folder, 'model.onnx'), shape: [max, 1, height, width] }
  const long = heavyScenarios().find(({ name }) => name.startsWith('ResNet-50'))
  return long ? [short, { ...long, title: 'ResNet-50' }] : [short]
}

/** Studies stay open: assessing them would be measured too, and unevenly. */
const settingsOf = ({ manifest, weights }: Candidate, root: string): string[] => {
  for (const version of ['1', '2']) writeModel(root, version, { ...manifest, version }, weights)
  return [
    'logLevel=warn',
    'assess-study.idleMs={DX: 86400000}',
    'assess-study.plainIdleMs=86400000',
    'models.builtIn=false',
    `models.folders=[${root}]`,
    `models.standby=[${manifest.name}@2]`,
  ]
}

async function withModels(
  open: (root: string, stack: AsyncDisposableStack) => Promise<Omit<System, keyof AsyncDisposable>>,
) {
  await using starting = new AsyncDisposableStack()
  const root = mkdtempSync(join(tmpdir(), 'raylog-bench-replay-'))
  starting.defer(() => rmSync(root, { recursive: true, force: true }))
  const system = await open(join(root, 'models'), starting)
  const running = starting.move()
  return { ...system, [Symbol.asyncDispose]: () => running.disposeAsync() }
}

/** One process. */
export const embedded = (candidate: Candidate): Promise<System> =>
  withModels(async (root, stack) => {
    const raylog = stack.use(await startRaylog({ set: settingsOf(candidate, root) }))
    return { what: `embedded, ${candidate.title}`, intake: raylog, gateway: raylog }
  })

/** Intake, infer, results, gateway and replays in processes of their own. */
export const distributed = (candidate: Candidate, { services }: Ground): Promise<System> =>
  withModels(async (root, stack) => {
    const set = [...settingsOf(candidate, root), `models.workers=${availableParallelism()}`]
    const groups = { ...usualGroups, replay: ['replay'] }
    const { of } = stack.use(await startProcesses(services, groups, { set }))
    return { what: `distributed, ${candidate.title}`, intake: of.intake, gateway: of.gateway }
  })
