/** Reports on their way to other systems, and the queues of the destinations. */
import { z } from 'zod'
import {
  type CommitmentAskedDoc,
  deliveryStates,
  type ReportDeliveryDoc,
  type ReportQueueDoc,
} from '../../schemas/report-delivery.ts'
import type { DocumentStore } from '../../storage/documents.ts'
import { problems } from '../http/problem.ts'
import { type ApiContext, type App, found, page, where } from './context.ts'
import { patientIdentity } from './patient.ts'
import { explainCode, idParams, listOf, paging, patientShape, word } from './shapes.ts'

const at = z.int().describe('ms since the epoch')
const commitmentShape = z
  .object({ state: z.enum(['asked', 'kept', 'failed']), answeredAt: at.nullable(), reasons: z.array(z.int()) })
  .nullable()
  .describe('storage commitment, where it was asked for; reasons of PS3.3 C.14.1.1')

export const reportDeliveryShape = z.object({
  id: z.string(),
  report: z.string(),
  study: z.string(),
  modality: z.string().nullable().describe("the study's, as the worklist has it"),
  patient: patientShape,
  site: z.string(),
  instance: z.string().nullable(),
  prediction: z.string().nullable(),
  revision: z.int().nullable(),
  format: z.string(),
  bytes: z.int(),
  destination: z.string(),
  state: z.enum(deliveryStates),
  attempts: z.int(),
  resends: z.int().describe('how often it was asked for again'),
  redelivered: z.boolean().describe('an attempt was begun of which nobody knows whether it arrived'),
  code: z.string().nullable().describe('of the last attempt that failed'),
  message: z.string().nullable(),
  remedy: z.string().nullable(),
  receipt: z.string().nullable().describe('what the destination said, or where it is there'),
  commitment: commitmentShape,
  nextAt: at.nullable().describe('when it is tried next; null: it is over'),
  queuedAt: at,
  sentAt: at.nullable(),
  earlier: z
    .array(z.object({ sentAt: at, receipt: z.string().nullable(), commitment: commitmentShape }))
    .describe('what the destination said when it took it before it was asked for again, the oldest first'),
})
export type ReportDeliveryView = z.infer<typeof reportDeliveryShape>

const queueShape = z.object({
  destination: z.string(),
  kind: z.string(),
  waiting: z.int().describe('on their way, and to be sent'),
  refused: z.int(),
  breaker: z.enum(['closed', 'open', 'trying']).describe('open: it does not answer and is left alone for a while'),
  failingSince: at.nullable(),
  code: z.string().nullable(),
  message: z.string().nullable(),
  /** Of whoever works on it. */
  seenAt: at.describe('last sign of life of the process that works on it'),
})
export type ReportQueueView = z.infer<typeof queueShape>

const query = z.object({
  destination: word,
  report: word,
  study: word,
  state: z.enum(deliveryStates).optional(),
  ...paging,
})

/** Without a sign of life for so long, a queue in which nothing waits is not listed: a process that is not up for a night is back. */
const goneMs = 86_400_000

export function addDeliveryRoutes(app: App, context: ApiContext): void {
  const { deps, clock } = context
  const { documents } = deps
  const tags = ['deliveries']
  app.get(
    '/deliveries',
    {
      schema: {
        ...{ tags, summary: 'Reports sent, refused and on their way; the newest first' },
        querystring: query,
        response: { 200: listOf(reportDeliveryShape), ...problems },
      },
    },
    async ({ query: { cursor, limit, ...fields } }) => {
      const listed = await documents.find('reportDeliveries', { where: where(fields), ...page({ cursor, limit }) })
      return { items: await deliveryViews(context, listed.items), next: listed.next }
    },
  )
  app.get(
    '/deliveries/queues',
    {
      schema: {
        ...{ tags, summary: 'The queue of each destination: how many wait, and whether it answers' },
        response: { 200: z.object({ items: z.array(queueShape) }), ...problems },
      },
    },
    async () => ({ items: await queueViews(documents, clock.now()) }),
  )
  app.get(
    '/deliveries/:id',
    { schema: { tags, summary: 'One', params: idParams, response: { 200: reportDeliveryShape, ...problems } } },
    async ({ params }) => {
      const [view] = await deliveryViews(context, [
        found(await documents.get('reportDeliveries', params.id), 'delivery'),
      ])
      return found(view, 'delivery')
    },
  )
}

async function deliveryViews(
  context: ApiContext,
  deliveries: readonly ReportDeliveryDoc[],
): Promise<ReportDeliveryView[]> {
  const { documents } = context.deps
  const asked = deliveries
    .flatMap(({ commitment, earlier = [] }) => [commitment, ...earlier.map(one => one.commitment)])
    .filter(id => id !== null)
  const commitments = asked.length > 0 ? await documents.getMany('commitmentsAsked', asked) : []
  const byId = new Map(commitments.map(one => [one.id, one]))
  const named = await studiesOf(context, [...new Set(deliveries.map(({ study }) => study))])
  return deliveries.map(one => ({
    ...viewOf(one, byId),
    ...(named.get(one.study) ?? { modality: null, patient: null }),
  }))
}

type StudyPart = Pick<ReportDeliveryView, 'modality' | 'patient'>

/** By id; of a study that is not on the worklist, nothing. */
async function studiesOf(context: ApiContext, ids: readonly string[]): Promise<Map<string, StudyPart>> {
  const lines = ids.length > 0 ? await context.deps.documents.getMany('worklist', ids) : []
  return new Map(
    await Promise.all(
      lines.map(
        async (line): Promise<[string, StudyPart]> => [
          line.id,
          { modality: line.modality, patient: await patientIdentity(context, line) },
        ],
      ),
    ),
  )
}

function viewOf(delivery: ReportDeliveryDoc, commitments: ReadonlyMap<string, CommitmentAskedDoc>) {
  const { version: _version, queue, object: _object, line: _line, at: nextAt, ...shown } = delivery
  const { code, state, earlier = [] } = delivery
  const commitmentOf = (id: string | null) => commitmentView(commitments.get(id ?? ''))
  return {
    ...shown,
    remedy: code === null ? null : explainCode(code).remedy,
    nextAt: queue !== null && (state === 'pending' || state === 'sending') ? nextAt : null,
    commitment: commitmentOf(delivery.commitment),
    earlier: earlier.map(one => ({ ...one, commitment: commitmentOf(one.commitment) })),
  }
}

function commitmentView(asked: CommitmentAskedDoc | undefined): ReportDeliveryView['commitment'] {
  if (!asked) return null
  const { state, answeredAt, failures } = asked
  return { state, answeredAt, reasons: [...new Set(failures.map(({ reason }) => reason))] }
}

/**
 * The newest term of each destination says how it does. Nobody works on one that is in no settings any more: it is listed while
 * reports wait for it, and for a while after that.
 */
async function queueViews(documents: DocumentStore, now: number): Promise<ReportQueueView[]> {
  const newest = new Map<string, ReportQueueDoc>()
  for (let cursor: string | undefined; ; ) {
    const listed = await documents.find('reportQueues', { limit: 1000, ...(cursor === undefined ? {} : { cursor }) })
    for (const term of listed.items) {
      const known = newest.get(term.destination)
      if (!known || known.epoch < term.epoch) newest.set(term.destination, term)
    }
    if (listed.next === null) break
    cursor = listed.next
  }
  const views = [...newest.values()].map(async (term): Promise<ReportQueueView> => {
    const { destination, kind, breaker, failingSince, code, message, updatedAt: seenAt } = term
    const [waiting, refused] = await Promise.all([
      documents.count('reportDeliveries', { queue: destination }),
      documents.count('reportDeliveries', { destination, state: 'refused' }),
    ])
    return { destination, kind, waiting, refused, breaker, failingSince, code, message, seenAt }
  })
  const listed = (await Promise.all(views)).filter(({ waiting, seenAt }) => waiting > 0 || now - seenAt < goneMs)
  return listed.toSorted((a, b) => (a.destination < b.destination ? -1 : 1))
}
