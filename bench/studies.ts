/**
 * What open studies cost: memory of a process that assesses studies while very many are open, the time of an event then,
 * and the time from a study's being due to its assessment.
 *
 *   node bench/studies.ts [--open 1000000] [--events 3000] [--due 500]
 *
 * The studies are written by one process and measured by another, so that what it took to write them is not counted.
 * Resident memory holds the page cache of SQLite (32 MB at most); the heap is told beside it. Both after a collection.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import pino from 'pino'
import { z } from 'zod'
import { createCodec } from '../kafka/codec.ts'
import { openEmbeddedLog } from '../kafka/embedded/log.ts'
import { systemClock } from '../monitoring/clock.ts'
import { Assessor } from '../processors/assess-study/assessor.ts'
import { freshState, withImage } from '../processors/assess-study/completion.ts'
import { dueStudies } from '../processors/assess-study/due.ts'
import { answerOf, imageOf } from '../processors/assess-study/parts.ts'
import { config } from '../processors/assess-study/settings.ts'
import { allTopics } from '../schemas/topics.ts'
import { lookForDue } from '../storage/due.ts'
import { openSqliteDocuments } from '../storage/sqlite-documents.ts'
import { anInstance, aPrediction, chest, chestModel } from '../tests/gateway/samples.ts'
import { until } from '../tests/harness/until.ts'
import { markdown, median, quantile, round } from './table.ts'

const { values: flags } = parseArgs({
  options: {
    open: { type: 'string', default: '1000000' },
    events: { type: 'string', default: '3000' },
    due: { type: 'string', default: '500' },
    /** For the processes that this one starts. */
    folder: { type: 'string', default: '' },
    step: { type: 'string', default: '' },
    from: { type: 'string', default: '0' },
  },
})
const [open, events, due] = [Number(flags.open), Number(flags.events), Number(flags.due)]
const few = 1_000

const measured = z.object({
  heap: z.number(),
  rss: z.number(),
  p50: z.number(),
  p99: z.number(),
  perSecond: z.number(),
})

/** One step in a process of its own. @returns what its last line says */
function step(name: 'fill' | 'measure', folder: string, count: number, from = 0): z.infer<typeof measured> | undefined {
  const args = ['--step', name, '--folder', folder, '--open', String(count), '--from', String(from)]
  const more = ['--events', flags.events, '--due', flags.due]
  const out = execFileSync(process.execPath, [import.meta.filename, ...args, ...more], { encoding: 'utf8' })
  return name === 'measure' ? measured.parse(JSON.parse(out.trim().split('\n').at(-1) ?? '')) : undefined
}

function compare(): void {
  const folder = mkdtempSync(join(tmpdir(), 'raylog-bench-studies-'))
  step('fill', folder, few)
  const small = step('measure', folder, few)
  step('fill', folder, open, few)
  const large = step('measure', folder, open)
  const rows = [[few, small] as const, [open, large] as const].flatMap(([count, got]) =>
    got
      ? {
          what: `${count.toLocaleString('en')} open`,
          figures: {
            'heap MB': round(got.heap),
            'resident MB': round(got.rss),
            'an image p50 ms': round(got.p50, 2),
            'an image p99 ms': round(got.p99, 1),
            'due, assessed a second': round(got.perSecond),
          },
        }
      : [],
  )
  console.log(markdown(rows))
  console.log(JSON.stringify({ bench: 'studies', rows }))
  rmSync(folder, { recursive: true })
}

setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')
function memory() {
  collect()
  const { rss, heapUsed, external } = process.memoryUsage()
  return { rss: rss / 1e6, heap: (heapUsed + external) / 1e6 }
}

async function inProcess(folder: string): Promise<void> {
  const documents = await openSqliteDocuments({ folder: join(folder, 'documents') })
  const log = await openEmbeddedLog({ folder: join(folder, 'log'), trimEveryMs: null })
  await log.ensureTopics(
    allTopics.map(({ name, partitions }) => ({ name, partitions, retention: { maxAgeMs: null, maxBytes: null } })),
  )
  const codec = createCodec(log)
  const settings = config.parse({ idleMs: { DX: 600_000_000 }, lookMs: 200 })
  const written = new Map<string, number>()
  const assessor = new Assessor({
    deps: { documents, log, codec, models: chest([chestModel()]) },
    async publish(topic, ...said) {
      for (const event of said) written.set(String(Reflect.get(event, 'study')), performance.now())
      const records = said.map(async event => ({
        topic: topic.name,
        key: 'k',
        value: await codec.encode(topic, event),
      }))
      return log.append(await Promise.all(records))
    },
    clock: systemClock,
    config: settings,
    reading: { isThrough: async () => true },
  })
  const stop = new AbortController()
  const logger = pino({ level: 'silent' })
  const looks = { ...dueStudies(documents, assessor, systemClock), clock: systemClock, logger }
  const looking = lookForDue({ ...looks, random: Math.random, lookMs: settings.lookMs }, stop.signal)

  const studyOf = (n: number) => `st_${String(n).padStart(8, '0')}`

  /** One image of a study that is open, as the stage takes it. @returns ms */
  async function oneEvent(n: number, study: number): Promise<number> {
    const begun = performance.now()
    const instance = anInstance(n, {
      id: `in_${n}_${study}`,
      study: studyOf(study),
      modality: 'DX',
      receivedAt: Date.now(),
    })
    await documents.insert('studyImages', imageOf(instance, ['chest'], Date.now()))
    await assessor.consider(
      await assessor.keep(instance.study, state => withImage(state, instance, Date.now(), settings)),
    )
    return performance.now() - begun
  }

  async function someEvents(first: number, among: number): Promise<number[]> {
    const took: number[] = []
    for (let n = 0; n < events; n++)
      took.push(await oneEvent(first + n, Math.floor(Math.random() * Math.max(1, among))))
    return took
  }

  /** Studies that are open, written as they are kept, many in one call. */
  async function fill(from: number, to: number): Promise<void> {
    const now = Date.now()
    const size = 2_000
    for (let at = from; at < to; at += size) {
      const range = Array.from({ length: Math.min(size, to - at) }, (_, n) => at + n)
      const image = (n: number) =>
        anInstance(n, { id: `in_0_${n}`, study: studyOf(n), modality: 'DX', receivedAt: now })
      await documents.upsert(
        'studyStates',
        range.map(n => withImage(freshState(studyOf(n), now, settings), image(n), now, settings)),
      )
      await documents.upsert(
        'studyImages',
        range.map(n => imageOf(image(n), [], now)),
      )
    }
  }

  /** A study whose time has come, with its image and answer. */
  async function comesDue(run: number, n: number): Promise<void> {
    const at = Date.now()
    const study = `due_${run}_${n}`
    const image = anInstance(n, { id: `in_${study}`, study, modality: 'DX', receivedAt: at - 1e9 })
    await documents.insert('studyImages', imageOf(image, ['chest'], at - 1e9))
    await documents.insert('studyAnswers', answerOf(aPrediction(n, { id: `pr_${study}`, instance: image.id, study })))
    await documents.insert('studyStates', {
      ...withImage(freshState(study, at, settings), image, at, settings),
      dueAt: at,
    })
  }

  if (flags.step === 'fill') await fill(Number(flags.from), open)
  else {
    // An id of its own for each run: those of the run before are settled.
    const run = Date.now()
    const took = await someEvents(run, open)
    const { heap, rss } = memory()
    const begun = performance.now()
    for (let n = 0; n < due; n++) await comesDue(run, n)
    await until('all that are due are assessed', () => written.size >= due)
    const perSecond = (due / (performance.now() - begun)) * 1_000
    console.log(JSON.stringify({ heap, rss, p50: median(took), p99: quantile(took, 0.99), perSecond }))
  }
  stop.abort(new Error('done'))
  await looking
  await log.close()
  await documents.close()
}

if (flags.step === '') compare()
else await inProcess(flags.folder)
