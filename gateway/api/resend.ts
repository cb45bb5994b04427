/** Sends reports again: what people ask for by id, study or time, put back into the queues. */
import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import type { Publish } from '../../kafka/stage.ts'
import { auditEntry } from '../../schemas/audit.ts'
import { RaylogError } from '../../schemas/errors.ts'
import {
  isOutdatedBy,
  keepsNewestAlone,
  newDelivery,
  type ReportDeliveryDoc,
  requeued,
} from '../../schemas/report-delivery.ts'
import { type Report, topics } from '../../schemas/topics.ts'
import { allOf, type DocumentStore, type Query } from '../../storage/documents.ts'
import { problems } from '../http/problem.ts'
import type { ApiContext, App } from './context.ts'

/** Until people have accounts, whoever holds the token is one person. */
const actor = 'token'
const pageSize = 200
/** Ids in the answer. */
const mostNamed = 1_000
const mostDestinations = 100

const time = z
  .int()
  .min(0)
  .or(z.iso.datetime({ offset: true }).transform(text => Date.parse(text)))

const destinationName = z.string().min(1).max(64)
const list = z.array(z.string().min(1).max(128)).min(1).max(1_000).optional()
const body = z
  .strictObject({
    ids: list.describe('of reports (rp_…) or deliveries (rd_…)'),
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
type Asked = z.infer<typeof body>

const answer = z.object({
  queued: z.int(),
  byDestination: z.record(z.string(), z.int()),
  unsent: z.int().describe('of those queued, what never went there before'),
  deliveries: z.array(z.string()).describe(`ids, at most ${mostNamed}`),
})

export function addResendRoute(
  app: App,
  { deps: { documents }, clock }: ApiContext,
  publish: Publish<typeof topics.audit>,
): void {
  app.post(
    '/reports/resend',
    {
      schema: {
        tags: ['deliveries'],
        summary: 'Send reports again: refused ones, or those that a system has lost; audited',
        body,
        response: { 200: answer, ...problems },
      },
    },
    async ({ body: asked, ip }, reply) => {
      const places = asked.destination === undefined ? undefined : [asked.destination].flat()
      for (const place of places ?? []) await known(documents, place)
      const done: z.infer<typeof answer> = { queued: 0, byDestination: {}, unsent: 0, deliveries: [] }
      for await (const some of wanted(documents, asked, places, clock.now())) {
        // Nobody waits for the number any more.
        if (asked.dryRun && reply.raw.destroyed) break
        if (some.length === 0) continue
        // First, so that nothing is sent again of which the audit knows nothing.
        if (!asked.dryRun) await publish(topics.audit, ...entriesOf(some, ip, clock.now()))
        for (const delivery of some) {
          const { id, destination } = delivery
          const queued = asked.dryRun
            ? requeued(delivery, clock.now()) !== undefined
            : await putBack(documents, id, clock.now())
          if (!queued) continue
          done.queued++
          done.byDestination[destination] = (done.byDestination[destination] ?? 0) + 1
          if (isUnsent(delivery)) done.unsent++
          if (done.deliveries.length < mostNamed) done.deliveries.push(id)
        }
      }
      return done
    },
  )
}

/** Every destination that some process works on, or did, has a term. */
async function known(documents: DocumentStore, destination: string): Promise<void> {
  if ((await documents.count('reportQueues', { destination })) === 0)
    throw new RaylogError('bad-request', 'There is no such destination.')
}

/** In no queue until it is put there with the others. */
const unsentDelivery = (report: Report & { object: string }, destination: string, now: number): ReportDeliveryDoc => ({
  ...newDelivery(report, destination, now),
  ...{ state: 'superseded', queue: null },
})
/** Whatever else is superseded was in a queue, and has been written since. */
const isUnsent = ({ version, state }: ReportDeliveryDoc): boolean => version === 1 && state === 'superseded'

/** Of some deliveries those to be sent again. @param missing what is to be sent to the same places for the first time */
type Take = (
  some: readonly ReportDeliveryDoc[],
  missing: readonly ReportDeliveryDoc[],
) => ReportDeliveryDoc[] | Promise<ReportDeliveryDoc[]>

/** Without what would not be sent: its destination keeps the newest alone, and a newer one is there or on its way. */
function newestOf(documents: DocumentStore) {
  const kept = new Map<string, boolean>()
  async function newestAlone(destination: string): Promise<boolean> {
    const before = kept.get(destination)
    if (before !== undefined) return before
    const { items } = await documents.find('reportQueues', { where: { destination }, limit: 1 })
    const is = items.some(({ kind }) => keepsNewestAlone(kind))
    kept.set(destination, is)
    return is
  }
  return async (
    some: readonly ReportDeliveryDoc[],
    missing: readonly ReportDeliveryDoc[],
  ): Promise<ReportDeliveryDoc[]> => {
    const lines = new Set<string>()
    for (const { destination, line, revision } of some)
      if (revision !== null && (await newestAlone(destination))) lines.add(line)
    if (lines.size === 0) return [...some]
    const there = await allOf(documents, 'reportDeliveries', { line: { in: [...lines] } })
    const byLine = Map.groupBy([...there, ...missing], ({ line }) => line)
    const isOutdated = (delivery: ReportDeliveryDoc) =>
      lines.has(delivery.line) && (byLine.get(delivery.line) ?? []).some(other => isOutdatedBy(delivery, other))
    return some.filter(delivery => !isOutdated(delivery))
  }
}

/** Page by page, so that a year costs no more memory than a day. */
async function* wanted(
  documents: DocumentStore,
  asked: Asked,
  places: readonly string[] | undefined,
  now: number,
): AsyncGenerator<ReportDeliveryDoc[]> {
  const { ids: named = [], studies = [], from, to, state, dryRun } = asked
  const unsent = state === undefined && (asked.unsent ?? true)
  const fits = (delivery: ReportDeliveryDoc) =>
    (places === undefined || places.includes(delivery.destination)) && (state === undefined || delivery.state === state)
  const all: Take = some => some.filter(fits)
  const newest = newestOf(documents)
  /** Without what a newer one has taken the place of, at a destination that wants no other. */
  const many: Take = (some, missing) => {
    const wanted = some.filter(
      delivery =>
        fits(delivery) && (state !== undefined || delivery.state !== 'superseded' || (unsent && isUnsent(delivery))),
    )
    return newest(wanted, missing)
  }
  const deliveryIds = named.filter(id => id.startsWith('rd_'))
  if (deliveryIds.length > 0) yield all(await documents.getMany('reportDeliveries', deliveryIds), [])

  const reportIds = named.filter(id => !id.startsWith('rd_'))
  if (reportIds.length > 0) yield* ofReports(await documents.getMany('reports', reportIds), all)
  for (const study of studies) for await (const some of pages(documents, { study })) yield* ofReports(some, many)
  if (from !== undefined || to !== undefined) {
    const at = { ...(from === undefined ? {} : { gte: from }), ...(to === undefined ? {} : { lt: to }) }
    for await (const some of pages(documents, { at })) yield* ofReports(some, many)
  }

  async function* ofReports(reports: readonly Report[], take: Take): AsyncGenerator<ReportDeliveryDoc[]> {
    if (reports.length === 0) return
    const missing = unsent && places !== undefined ? await missingOf(documents, reports, places, now) : []
    // Those that are written are found with the others.
    if (dryRun) yield await take(missing, missing)
    else for (const delivery of missing) await documents.insert('reportDeliveries', delivery)
    let cursor: string | null | undefined
    do {
      const where = { report: { in: reports.map(({ id }) => id) } }
      const page = await documents.find('reportDeliveries', { where, limit: 1_000, ...(cursor ? { cursor } : {}) })
      yield await take(page.items, missing)
      cursor = page.next
    } while (cursor !== null)
  }
}

/** What no rule sent there. */
async function missingOf(
  documents: DocumentStore,
  reports: readonly Report[],
  places: readonly string[],
  now: number,
): Promise<ReportDeliveryDoc[]> {
  const possible = reports.flatMap(report => {
    const { object, outcome } = report
    if (object === null || outcome !== 'made') return []
    return places.map(place => unsentDelivery({ ...report, object }, place, now))
  })
  if (possible.length === 0) return []
  const there = await documents.getMany(
    'reportDeliveries',
    possible.map(({ id }) => id),
  )
  const known = new Set(there.map(({ id }) => id))
  return possible.filter(({ id }) => !known.has(id))
}

async function* pages(documents: DocumentStore, where: NonNullable<Query['where']>): AsyncGenerator<Report[]> {
  let cursor: string | null | undefined
  do {
    const query = { where, order: 'oldest', limit: pageSize, ...(cursor ? { cursor } : {}) } as const
    const page = await documents.find('reports', query)
    yield page.items
    cursor = page.next
  } while (cursor !== null)
}

/** @returns false where it is on its way at this moment, or gone */
async function putBack(documents: DocumentStore, id: string, now: number): Promise<boolean> {
  for (;;) {
    const delivery = await documents.get('reportDeliveries', id)
    const next = delivery && requeued(delivery, now)
    if (!next) return false
    if (await documents.advance('reportDeliveries', next)) return true
  }
}

/** One a study. */
function entriesOf(deliveries: readonly ReportDeliveryDoc[], address: string, at: number) {
  const byStudy = Map.groupBy(deliveries, ({ study }) => study)
  return [...byStudy].map(([study, some]) =>
    auditEntry(
      {
        ...{ action: 'export', actor, object: study, outcome: 'success', address },
        detail: {
          destination: [...new Set(some.map(({ destination }) => destination))].sort().join(' '),
          count: String(some.length),
          reason: 'reports sent again',
        },
      },
      at,
      randomUUID(),
    ),
  )
}
