/** Sends reports again: what people ask for by id, study or time, put back into the queues. */
import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import type { Publish } from '../../kafka/stage.ts'
import { auditEntry } from '../../schemas/audit.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { type ReportDeliveryDoc, requeued } from '../../schemas/report-delivery.ts'
import { topics } from '../../schemas/topics.ts'
import type { DocumentStore } from '../../storage/documents.ts'
import { problems } from '../http/problem.ts'
import type { ApiContext, App } from './context.ts'
import { chosen, isUnsent, resendBody } from './resend-choice.ts'

/** Until people have accounts, whoever holds the token is one person. */
const actor = 'token'
/** Ids in the answer. */
const mostNamed = 1_000

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
        body: resendBody,
        response: { 200: answer, ...problems },
      },
    },
    async ({ body: asked, ip }, reply) => {
      const places = asked.destination === undefined ? undefined : [asked.destination].flat()
      for (const place of places ?? []) await known(documents, place)
      const done: z.infer<typeof answer> = { queued: 0, byDestination: {}, unsent: 0, deliveries: [] }
      for await (const some of chosen(documents, asked, places, clock.now())) {
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
