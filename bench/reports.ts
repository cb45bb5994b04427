/**
 * What the reports of a study cost: time and CPU from the event of its assessment to its reports, by format and all together.
 *
 *   node bench/reports.ts [--images 20] [--rounds 40] [--single-rounds 7] [--size 512] [--all]
 *
 * Each round is another study, since pictures are kept. Medians and p95 are of threads that have made reports before; what the
 * first of the process takes, with all that is loaded and started for it, is in a row of its own. --all leaves out the single ones.
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { studyFormats } from '../consumers/report/formats.ts'
import { reportStage } from '../consumers/report/stage.ts'
import { chestDicom } from '../producers/simulator/phantoms.ts'
import { type StudyAssessed, topics } from '../schemas/topics.ts'
import { type OpenedStage, openForTest } from '../tests/harness/stage.ts'
import { openLog, openStores } from '../tests/harness/stores.ts'
import { keepStudy } from '../tests/reports/kit.ts'
import { markdown, quantile, type Row, round } from './table.ts'

const { values: flags } = parseArgs({
  options: {
    images: { type: 'string', default: '20' },
    rounds: { type: 'string', default: '40' },
    'single-rounds': { type: 'string', default: '7' },
    size: { type: 'string', default: '512' },
    all: { type: 'boolean', default: false },
  },
})
const [images, size] = [Number(flags.images), Number(flags.size)]
/** Rounds that start threads, load what is drawn with and have it compiled. */
const warming = 2

const opened = await openStores()
const stores = { ...opened, log: await openLog(join(opened.folder, 'log')) }
let studies = 0

/** A study with a region on every fourth image. */
async function study(): Promise<StudyAssessed> {
  studies += 1
  const of = studies
  const files = Array.from({ length: images }, (_, i) => chestDicom(of * 10_000 + i, { study: of, size }))
  const points = [0.2, 0.2, 0.6, 0.2, 0.6, 0.7, 0.2, 0.7].map(share => share * size)
  const regions = [{ label: 'pneumonia', score: 0.9, frame: 1, points }]
  return (await keepStudy(stores, files, { said: i => (i % 4 === 0 ? { regions } : {}) })).assessed
}

interface Round {
  ms: number
  cpuMs: number
  kilobytes: number
}

async function measure(formats: string[], counted: number): Promise<{ first: Round; steady: Round[] }> {
  const stage = await openForTest(reportStage(studyFormats, []), stores, { settings: { formats } })
  const first = await once(stage, await study())
  const steady: Round[] = []
  for (let i = 1; i < warming + counted; i++) {
    const one = await once(stage, await study())
    if (i >= warming) steady.push(one)
  }
  await stage.close()
  return { first, steady }
}

async function once(stage: OpenedStage, assessed: StudyAssessed): Promise<Round> {
  const [begun, before] = [performance.now(), process.cpuUsage()]
  await stage.hand(topics.studies, assessed)
  const [took, { user, system }] = [performance.now() - begun, process.cpuUsage(before)]
  const [doc] = (await stores.documents.find('studyReports', { where: { study: assessed.study } })).items
  const bytes = (doc?.reports ?? []).reduce((sum, one) => sum + one.bytes, 0)
  return { ms: took, cpuMs: (user + system) / 1000, kilobytes: bytes / 1024 }
}

function row(what: string, rounds: readonly Round[]): Row {
  const of = (figure: keyof Round, share = 0.5) =>
    round(
      quantile(
        rounds.map(one => one[figure]),
        share,
      ),
    )
  return {
    what,
    figures: {
      'median ms': of('ms'),
      // Of a few it would be the longest.
      ...(rounds.length >= 20 && { 'p95 ms': of('ms', 0.95) }),
      'CPU ms': of('cpuMs'),
      KB: of('kilobytes'),
      studies: rounds.length,
    },
  }
}

const all = Object.keys(studyFormats)
const { first, steady } = await measure(all, Number(flags.rounds))
const what = `${images} images of ${size} × ${size}: all ${all.length} formats`
const rows = [row(`${what}, the first of the process`, [first]), row(what, steady)]
if (!flags.all)
  for (const name of all) rows.push(row(name, (await measure([name], Number(flags['single-rounds']))).steady))
await stores.log.close()
await opened.close()
console.error(markdown(rows))
console.log(JSON.stringify({ bench: 'reports', rows }))
