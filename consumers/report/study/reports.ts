/** Makes the reports of a study's revision, in every format that is asked for, and says on the log which there are. */
import type { Logger } from 'pino'
import type { Emit } from '../../../kafka/stage.ts'
import type { MadeReport, StudyReportsDoc } from '../../../schemas/documents.ts'
import { toRaylogError } from '../../../schemas/errors.ts'
import { ids } from '../../../schemas/ids.ts'
import { type Report, type StudyAssessed, topics } from '../../../schemas/topics.ts'
import { allOf } from '../../../storage/documents.ts'
import { gatherStudy, type StudyOptions, type StudyPorts } from './content.ts'
import type { EarlierReport, RenderedReport, StudyContent, StudyFormat } from './format.ts'
import { studyTools } from './tools.ts'

export interface MakeOptions extends StudyOptions {
  /** Those that are made. */
  formats: readonly StudyFormat[]
  /** Those that another may ask for. */
  all: readonly StudyFormat[]
  logger: Logger
  now: () => number
}

interface Handling {
  emit: Emit<typeof topics.reports>
  signal: AbortSignal
}

/** A format that fails is tried so often, then refused: it must not cost the other formats. */
const tries = 3

/**
 * Twice is once: the same objects under the same ids. An outage throws, and nothing is said; what one format cannot do is
 * said as `refused`, with the code.
 * @throws RaylogError of a store that may answer later; the signal's reason when aborted
 */
export async function makeStudyReports(
  ports: StudyPorts,
  options: MakeOptions,
  assessed: StudyAssessed,
  { emit, signal }: Handling,
): Promise<void> {
  const { documents } = ports
  const { study, revision } = assessed
  const all = await allOf(documents, 'studyReports', { study })
  // A revision that comes by after a younger one (parked, and retried) is out of date before it is written down.
  if (!all.some(one => one.id === assessed.id) && all.some(one => one.revision > revision)) return
  const earlier = all.filter(one => one.revision < revision).sort((a, b) => b.revision - a.revision)
  const [before] = earlier
  const predecessor = before ? { revision: before.revision, reports: newestOf(earlier) } : null
  const content = await gatherStudy(ports, options, assessed, predecessor)
  const reports = await render(ports, options, content, signal)
  signal.throwIfAborted()
  const made = reports.flatMap(one => ('made' in one ? [one.made] : []))
  await documents.upsert('studyReports', [{ id: assessed.id, study, revision, reports: made, at: content.madeAt }])
  const say = (over: EventFields) => emit(topics.reports, { ...common(assessed, options.now()), ...over })
  for (const one of reports) {
    if ('made' in one) say(sayingOf(one.made, revision, 'made'))
    else say({ ...sayingOf(one.refused, revision, 'refused'), code: one.code })
  }
  for (const one of before?.reports ?? []) say(sayingOf(one, before?.revision ?? 0, 'superseded'))
}

/** A revision that lacks a format, because it was refused, must not hide the report that stands in its place elsewhere. */
function newestOf(newestFirst: readonly StudyReportsDoc[]): EarlierReport[] {
  const all = newestFirst.flatMap(({ revision, reports }) => reports.map(report => ({ ...report, revision })))
  const byKind = Map.groupBy(all, ({ format, part }) => JSON.stringify([format, part]))
  return [...byKind.values()].flatMap(([newest]) => newest ?? [])
}

type EventFields = Pick<Report, 'id' | 'format' | 'instance' | 'object' | 'bytes' | 'outcome' | 'revision'> & {
  code?: string
}
type Attempted = Pick<MadeReport, 'id' | 'format' | 'instance'> & { object: string | null; bytes: number }

const sayingOf = (
  { id, format, instance = null, object, bytes }: Attempted,
  revision: number,
  outcome: Report['outcome'],
): EventFields => ({ id, format, instance, object, bytes, outcome, revision })

const common = ({ study, site }: StudyAssessed, at: number) => ({
  ...{ study, site, at },
  prediction: null,
  destination: 'store',
  code: null,
})

type Outcome = { made: MadeReport } | { refused: Attempted; code: string }

async function render(
  ports: StudyPorts,
  { formats, all, logger }: MakeOptions,
  content: StudyContent,
  signal: AbortSignal,
): Promise<Outcome[]> {
  const tools = studyTools(ports, all, content, signal)
  const outcomes = await Promise.all(
    formats.map(async ({ name, contentType }): Promise<Outcome[]> => {
      const rendered = await attempted(() => tools.rendered(name), signal)
      if ('refused' in rendered) {
        const { code, message } = rendered.refused
        logger.warn({ code, reason: message, format: name, study: content.assessed.study }, 'a report cannot be made')
        const id = ids.studyReport(content.assessed.id, name, null)
        return [{ refused: { id, format: name, object: null, bytes: 0 }, code }]
      }
      return Promise.all(rendered.parts.map(part => stored(ports, { name, contentType }, content, part)))
    }),
  )
  return outcomes.flat()
}

async function stored(
  { objects }: StudyPorts,
  { name, contentType }: Pick<StudyFormat, 'name' | 'contentType'>,
  { assessed }: StudyContent,
  { part, instance = null, bytes }: RenderedReport,
): Promise<Outcome> {
  const object = await objects.put(bytes, contentType)
  const id = ids.studyReport(assessed.id, name, part)
  return { made: { id, format: name, part, instance, object: object.key, bytes: object.bytes } }
}

async function attempted(work: () => Promise<readonly RenderedReport[]>, signal: AbortSignal) {
  for (let attempt = 1; ; attempt++) {
    try {
      return { parts: await work() }
    } catch (thrown) {
      signal.throwIfAborted()
      const error = toRaylogError(thrown)
      const { verdict } = error.entry
      if (verdict === 'wait' || verdict === 'stop') throw error
      if (verdict === 'park' || attempt === tries) return { refused: error }
    }
  }
}
