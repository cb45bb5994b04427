/**
 * What the reports of a study cost: time and CPU from the event of its assessment to its reports, by format and all together.
 *
 *   node bench/reports.ts [--images 20] [--rounds 7] [--size 512]
 *
 * Each round is another study, since pictures are kept; threads are warm, as in a process that has made a report before.
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { studyFormats } from '../consumers/report/formats.ts'
import { reportStage } from '../consumers/report/stage.ts'
import { chestDicom } from '../producers/simulator/phantoms.ts'
import { type StudyAssessed, topics } from '../schemas/topics.ts'
import { openForTest } from '../tests/harness/stage.ts'
import { openLog, openStores } from '../tests/harness/stores.ts'
import { keepStudy } from '../tests/reports/kit.ts'
import { markdown, median, type Row, round } from './table.ts'

const { values: flags } = parseArgs({
  options: {
    images: { type: 'string', default: '20' },
    rounds: { type: 'string', default: '7' },
    size: { type: 'string', default: '512' },
  },
})
const [images, rounds, size] = [Number(flags.images), Number(flags.rounds), Number(flags.size)]

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

async function measure(formats: string[]): Promise<Row['figures']> {
  const stage = await openForTest(reportStage(studyFormats, []), stores, { settings: { formats } })
  const [took, cpu]: [number[], number[]] = [[], []]
  let bytes = 0
  for (let i = 0; i < rounds + 2; i++) {
    const assessed = await study()
    const [begun, before] = [performance.now(), process.cpuUsage()]
    await stage.hand(topics.studies, assessed)
    const { user, system } = process.cpuUsage(before)
    // The first two start threads and load what is drawn with.
    if (i < 2) continue
    took.push(performance.now() - begun)
    cpu.push((user + system) / 1000)
    const [doc] = (await stores.documents.find('studyReports', { where: { study: assessed.study } })).items
    bytes = (doc?.reports ?? []).reduce((sum, one) => sum + one.bytes, 0)
  }
  await stage.close()
  return { 'ms (median)': round(median(took)), 'CPU ms': round(median(cpu)), KB: round(bytes / 1024) }
}

const all = Object.keys(studyFormats)
const rows: Row[] = [
  { what: `${images} images of ${size} × ${size}: all ${all.length} formats`, figures: await measure(all) },
]
for (const name of all) rows.push({ what: name, figures: await measure([name]) })
await stores.log.close()
await opened.close()
console.error(markdown(rows))
console.log(JSON.stringify({ bench: 'reports', rows }))
