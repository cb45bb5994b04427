/** What may be asked for to be sent again, and which deliveries that are. */
import { z } from 'zod'
import { newDelivery, type ReportDeliveryDoc } from '../../schemas/report-delivery.ts'
import type { Report } from '../../schemas/topics.ts'
import { allOf, type DocumentStore, type Filter } from '../../storage/documents.ts'
import { newestAloneOf, outdatedError, outdatedOf } from './outdated.ts'

const pageSize = 200
const mostDestinations = 100

const time = z
  .int()
  .min(0)
  .or(z.iso.datetime({ offset: true }).transform(text => Date.parse(text)))

const destinationName = z.string().min(1).max(64)
const list = z.array(z.string().min(1).max(128)).min(1).max(1_000).optional()
export const resendBody = z
  .strictObject({
    ids: list.describe(
      'of reports (rp_…) or deliveries (rd_…). Where the newest is kept alone (FHIR, HL7), one that has a newer one that was not refused there is refused, and all with it: 409, outdated',
    ),
    studies: list,
    from: time.optional().describe('reports made from then on; ISO 8601 with a zone, or ms since the epoch'),
    to: time.optional().describe('not included'),
    destination: z
      .union([destinationName, z.array(destinationName).min(1).max(mostDestinations)])
      .optional()
      .describe('only there, or to these'),
    state: z
      .enum(['sent', 'refused', 'superseded', 'pending'])
      .optional()
      .describe(
        'only deliveries in this state; without, those by study and time leave out superseded ones. Where the newest is kept alone (FHIR, HL7) they leave out what has a newer one, but where that was refused',
      ),
    unsent: z
      .boolean()
      .optional()
      .describe('also what never went to the destinations that are named; default: yes, where no state is given'),
    dryRun: z.boolean().default(false).describe('counts only: nothing is sent, written or audited'),
  })
  .refine(
    ({ ids, studies, from, to }) => [ids, studies, from, to].some(given => given !== undefined),
    'say which: ids, studies, or a time',
  )
export type Resend = z.infer<typeof resendBody>

/** In no queue until it is put there with the others. */
const unsentDelivery = (report: Made, destination: string, now: number): ReportDeliveryDoc => ({
  ...newDelivery(report, destination, now),
  ...{ state: 'superseded', queue: null },
})
/** Whether it never went there. Whatever else is superseded was in a queue, and has been written since. */
export const isUnsent = ({ version, state }: ReportDeliveryDoc): boolean => version === 1 && state === 'superseded'

type Made = Report & { object: string }
const isMade = (report: Report): report is Made => report.object !== null && report.outcome === 'made'

interface Choice {
  documents: DocumentStore
  asked: Resend
  /** Where reports go also for the first time. */
  firstPlaces: readonly string[]
  newestAlone(destination: string): Promise<boolean>
  fits(delivery: ReportDeliveryDoc): boolean
  now: number
}

type Deliveries = readonly ReportDeliveryDoc[]

/**
 * Page by page, so that a year costs no more memory than a day. What was asked for by id comes first.
 * @throws RaylogError outdated, before anything is written: one that was asked for by id has a newer one where the newest alone is kept
 */
export async function* chosen(
  documents: DocumentStore,
  asked: Resend,
  places: readonly string[] | undefined,
  now: number,
): AsyncGenerator<ReportDeliveryDoc[]> {
  const { ids = [], studies = [], from, to, state } = asked
  const firstPlaces = state === undefined && (asked.unsent ?? true) ? (places ?? []) : []
  const fits = ({ destination, state: its }: ReportDeliveryDoc) =>
    (places === undefined || places.includes(destination)) && (state === undefined || its === state)
  const choice = { documents, asked, firstPlaces, newestAlone: newestAloneOf(documents), fits, now }
  if (ids.length > 0) yield* byId(choice, ids)
  for (const study of studies) yield* many(choice, { study })
  if (from !== undefined || to !== undefined)
    yield* many(choice, {
      at: { ...(from === undefined ? {} : { gte: from }), ...(to === undefined ? {} : { lt: to }) },
    })
}

async function* byId(choice: Choice, ids: readonly string[]): AsyncGenerator<ReportDeliveryDoc[]> {
  const { documents, newestAlone, fits } = choice
  const [ofDeliveries = [], ofReports = []] = [true, false].map(is => ids.filter(id => id.startsWith('rd_') === is))
  const deliveries = (await documents.getMany('reportDeliveries', ofDeliveries)).filter(fits)
  const reports = await documents.getMany('reports', ofReports)
  const missing = await missingOf(choice, reports)
  // All of it before any of it: what is refused has left nothing behind.
  const outdated = await outdatedOf(documents, newestAlone, [...deliveries, ...missing], missing)
  for await (const some of deliveriesOf(documents, reports))
    outdated.push(...(await outdatedOf(documents, newestAlone, some.filter(fits), missing)))
  if (outdated.length > 0) throw outdatedError(outdated)
  yield deliveries
  yield* written(choice, reports, missing, async some => some.filter(fits))
}

/** Without what a newer one has taken the place of, at a destination that wants no other. */
async function* many(choice: Choice, where: Filter): AsyncGenerator<ReportDeliveryDoc[]> {
  const { documents, asked, newestAlone, fits } = choice
  const isWanted = (one: ReportDeliveryDoc) =>
    fits(one) && (asked.state !== undefined || one.state !== 'superseded' || isUnsent(one))
  for await (const page of pages(documents, where)) {
    const newer = await missingOf(choice, await revisionsOf(choice, page, where))
    yield* written(choice, page, await missingOf(choice, page), async some => {
      const wanted = some.filter(isWanted)
      const outdated = await outdatedOf(documents, newestAlone, wanted, newer)
      const left = new Set(outdated.map(({ delivery }) => delivery.id))
      return wanted.filter(({ id }) => !left.has(id))
    })
  }
}

/**
 * Of the same studies and formats, all that is asked for: what goes to a destination for the first time, and is newer than what
 * this page has, may stand on a later one.
 */
async function revisionsOf(
  { documents, firstPlaces, newestAlone }: Choice,
  page: readonly Report[],
  where: Filter,
): Promise<Report[]> {
  const revised = page.filter(({ revision }) => revision !== null)
  const alone = await Promise.all(firstPlaces.map(newestAlone))
  if (revised.length === 0 || !alone.includes(true)) return []
  const study = { in: [...new Set(revised.map(one => one.study))] }
  const format = { in: [...new Set(revised.map(one => one.format))] }
  return allOf(documents, 'reports', { ...where, study, format })
}

/** @param missing what goes to its destinations for the first time: written, unless it is only counted */
async function* written(
  { documents, asked }: Choice,
  reports: readonly Report[],
  missing: Deliveries,
  take: (some: Deliveries) => Promise<ReportDeliveryDoc[]>,
): AsyncGenerator<ReportDeliveryDoc[]> {
  // Those that are written are found with the others.
  if (asked.dryRun) yield await take(missing)
  else for (const delivery of missing) await documents.insert('reportDeliveries', delivery)
  for await (const some of deliveriesOf(documents, reports)) yield await take(some)
}

/** What no rule sent there. */
async function missingOf(
  { documents, firstPlaces, now }: Choice,
  reports: readonly Report[],
): Promise<ReportDeliveryDoc[]> {
  const possible = reports
    .filter(isMade)
    .flatMap(report => firstPlaces.map(place => unsentDelivery(report, place, now)))
  if (possible.length === 0) return []
  const there = await documents.getMany(
    'reportDeliveries',
    possible.map(({ id }) => id),
  )
  const known = new Set(there.map(({ id }) => id))
  return possible.filter(({ id }) => !known.has(id))
}

async function* deliveriesOf(
  documents: DocumentStore,
  reports: readonly Report[],
): AsyncGenerator<ReportDeliveryDoc[]> {
  if (reports.length === 0) return
  const where = { report: { in: reports.map(({ id }) => id) } }
  let cursor: string | null | undefined
  do {
    const page = await documents.find('reportDeliveries', { where, limit: 1_000, ...(cursor ? { cursor } : {}) })
    yield page.items
    cursor = page.next
  } while (cursor !== null)
}

async function* pages(documents: DocumentStore, where: Filter): AsyncGenerator<Report[]> {
  let cursor: string | null | undefined
  do {
    const query = { where, order: 'oldest', limit: pageSize, ...(cursor ? { cursor } : {}) } as const
    const page = await documents.find('reports', query)
    yield page.items
    cursor = page.next
  } while (cursor !== null)
}
