/**
 * A CT of 324 slices of 512 KB, sent over C-STORE to a Raylog with one model, SqueezeNet: until the last slice is
 * acknowledged, until the study is on the worklist with all its slices and what was found in it, and what processor time that
 * took. A rule says that 324 images are the whole study, so the wait that a study without an announced number needs
 * (assess-study.idleMs) is not in it. Once with every stage, until the page of each slice is made too, and once with those alone
 * that receive, run models, keep, assess and show. The sender, the CT and the model come from RAYLOG_SHARED.
 *
 *   node bench/study.ts [--slices 324] [--rounds 3] [--associations 4]
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { writeModel } from '../models/testing.ts'
import { isIdle } from '../tests/harness/census.ts'
import { type Raylog, startRaylog } from '../tests/harness/raylog.ts'
import { until } from '../tests/harness/until.ts'
import { sharedPath } from '../tests/shared.ts'
import { cpuMsOf, treeOf } from './cpu.ts'
import { scenarios } from './engine/scenarios.ts'
import { markdown, median, type Row, round } from './table.ts'

const { values: flags } = parseArgs({
  options: {
    slices: { type: 'string', default: '324' },
    rounds: { type: 'string', default: '3' },
    associations: { type: 'string', default: '4' },
  },
})
const execute = promisify(execFile)
const blast = sharedPath('tools/cstore-blast.ts')
const ct = sharedPath('data/dicom/ct-ref-explicit__CT1_UNC.dcm')
if (!blast || !ct) throw new Error('the sender and the CT are not there: set RAYLOG_SHARED')

interface Measured {
  stored: number
  analysed: number
  /** Everything, pages too. */
  ended: number
  cpu: number
  senderCpu: number
}

interface Line {
  images: number
  revision: number
}

/** One study on a Raylog of its own: the slices of all rounds have the same study UID. */
async function measure(models: string, more: readonly string[]): Promise<Measured> {
  await using raylog = await startRaylog({
    set: [
      'logLevel=warn',
      'models.builtIn=false',
      `models.folders=[${models}]`,
      `assess-study.rules=[{images: ${flags.slices}}]`,
      'assess-study.lookMs=50',
      ...more,
    ],
  })
  const before = cpuMsOf(treeOf(raylog.pid))
  // With what it started that has ended: the sender, when all is done.
  const own = cpuMsOf([process.pid])
  const started = performance.now()
  const seconds = () => (performance.now() - started) / 1_000
  const sending = execute(process.execPath, [
    ...[blast ?? '', '--port', String(raylog.dicomPort), '--called', 'RAYLOG', '--file', ct ?? ''],
    ...['--count', flags.slices, '--associations', flags.associations],
  ]).then(seconds)
  const analysed = isAnalysed(raylog).then(seconds)
  const [stored, done] = await Promise.all([sending, analysed])
  const readers = more.length > 0 ? ['infer', 'persist'] : undefined
  await until('all is done', () => isIdle(raylog, readers), { deadlineMs: 300_000, everyMs: 100 })
  const ended = seconds()
  const perSlice = (ms: number) => ms / Number(flags.slices)
  const [cpu, senderCpu] = [cpuMsOf(treeOf(raylog.pid)) - before, cpuMsOf([process.pid]) - own]
  return { stored, analysed: done, ended, cpu: perSlice(cpu), senderCpu: perSlice(senderCpu) }
}

async function isAnalysed(raylog: Raylog): Promise<void> {
  const ask = async () => {
    const { items } = await raylog.json<{ items: Line[] }>('/api/v1/worklist?state=all&limit=1')
    return items.some(({ images, revision }) => images === Number(flags.slices) && revision > 0)
  }
  await until('the study is analysed', ask, { deadlineMs: 300_000, everyMs: 50 })
}

const folder = mkdtempSync(join(tmpdir(), 'raylog-bench-study-'))
const scenario = (await scenarios()).find(({ name }) => name === 'SqueezeNet, 512 KB CT')
if (!scenario) throw new Error('there is no SqueezeNet in RAYLOG_SHARED')
writeModel(folder, 'model', scenario.manifest, scenario.weights)

const ways: [string, string[]][] = [
  ['everything on, a PDF of each slice too', []],
  ['without PDFs of slices', ['stages=[dimse, infer, persist, assess-study, gateway]']],
]
const rows: Row[] = []
for (const [what, more] of ways) {
  const runs: Measured[] = []
  for (let run = 0; run < Number(flags.rounds); run++) runs.push(await measure(folder, more))
  rows.push({
    what: `${flags.slices} slices, ${flags.associations} associations, SqueezeNet on each; ${what}`,
    figures: {
      'stored, s': round(median(runs.map(run => run.stored)), 2),
      'complete and analysed, s': round(median(runs.map(run => run.analysed)), 2),
      'all of it done, s': round(median(runs.map(run => run.ended)), 2),
      'CPU ms a slice, all of it': round(median(runs.map(run => run.cpu)), 1),
      'CPU ms a slice of sender and bench': round(median(runs.map(run => run.senderCpu)), 1),
    },
  })
}
rmSync(folder, { recursive: true })
console.log(markdown(rows))
console.log(JSON.stringify({ bench: 'study', rows }))
