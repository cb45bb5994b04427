/** Sends reports again: what people ask for by id, study or time, put back into the queues. */
import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import type { Publish } from '../../kafka/stage.ts'
import { auditEntry } from '../../schemas/audit.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { newDelivery, type ReportDeliveryDoc, requeued } from '../../schemas/report-delivery.ts'
import { type Report, topics } from '../../schemas/topics.ts'
import type { DocumentStore, Query } from '../../storage/documents.ts'
import { problems } from '../http/problem.ts'
import type { ApiContext, App } from './context.ts'

/** Until people have accounts, whoever holds the token is one person. */
const actor = 'token'
const pageSize = 200
/** Ids in the answer. */
const mostNamed = 1_000

const time = z
  .int()
  .min(0)
  .or(z.iso.datetime({ offset: true }).transform(text => Date.parse(text)))

const list = z.array(z.string().min(1).max(128)).min(1).max(1_000).optional()
const body = z
  .strictObject({
    ids: list.describe('of reports (rp_…) or deliveries (rd_…)'),
    studies: list,
    from: time.optional().describe('reports made from then on; ISO 8601 with a zone, or ms since the epoch'),
    to: time.optional().describe('not included'),
    destination: z
      .string()
      .min(1)
      .max(64)
      .optional()
      .describe('only there; also what its rules did not name, where it can be given that'),
    state: z.enum(['sent', 'refused', 'superseded', 'pending']).optional().describe('only deliveries in this state'),
  })
  .refine(
    ({ ids, studies, from, to }) => [ids, studies, from, to].some(given => given !== undefined),
    'say which: ids, studies, or a time',
  )
type Asked = z.infer<typeof body>

const answer = z.object({
  queued: z.int(),
  byDestination: z.record(z.string(), z.int()),
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
    async ({ body: asked, ip }) => {
      if (asked.destination !== undefined) await known(documents, asked.destination)
      const done: z.infer<typeof answer> = { queued: 0, byDestination: {}, deliveries: [] }
      for await (const some of wanted(documents, asked, clock.now())) {
        if (some.length === 0) continue
        // First, so that nothing is sent again of which the audit knows nothing.
        await publish(topics.audit, ...entriesOf(some, ip, clock.now()))
        for (const { id, destination } of some) {
          if (!(await putBack(documents, id, clock.now()))) continue
          done.queued++
          done.byDestination[destination] = (done.byDestination[destination] ?? 0) + 1
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

/** Page by page, so that a year costs no more memory than a day. */
async function* wanted(documents: DocumentStore, asked: Asked, now: number): AsyncGenerator<ReportDeliveryDoc[]> {
  const { ids: named = [], studies = [], from, to, destination, state } = asked
  const fits = (delivery: ReportDeliveryDoc) =>
    (destination === undefined || delivery.destination === destination) &&
    (state === undefined || delivery.state === state)
  const deliveryIds = named.filter(id => id.startsWith('rd_'))
  if (deliveryIds.length > 0) yield (await documents.getMany('reportDeliveries', deliveryIds)).filter(fits)

  const reportIds = named.filter(id => !id.startsWith('rd_'))
  if (reportIds.length > 0) yield* ofReports(await documents.getMany('reports', reportIds))
  for (const study of studies) for await (const some of pages(documents, { study })) yield* ofReports(some)
  if (from !== undefined || to !== undefined) {
    const at = { ...(from === undefined ? {} : { gte: from }), ...(to === undefined ? {} : { lt: to }) }
    for await (const some of pages(documents, { at })) yield* ofReports(some)
  }

  async function* ofReports(reports: readonly Report[]): AsyncGenerator<ReportDeliveryDoc[]> {
    if (reports.length === 0) return
    if (destination !== undefined && state === undefined) await addMissing(reports, destination)
    let cursor: string | null | undefined
    do {
      const where = { report: { in: reports.map(({ id }) => id) } }
      const page = await documents.find('reportDeliveries', { where, limit: 1_000, ...(cursor ? { cursor } : {}) })
      yield page.items.filter(fits)
      cursor = page.next
    } while (cursor !== null)
  }

  /** What no rule sent there. Not in a queue yet: it is put into it with the others. */
  async function addMissing(reports: readonly Report[], to: string): Promise<void> {
    for (const report of reports) {
      const { object, outcome } = report
      if (object === null || outcome !== 'made') continue
      const delivery = newDelivery({ ...report, object }, to, now)
      await documents.insert('reportDeliveries', { ...delivery, state: 'superseded', queue: null })
    }
  }
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
