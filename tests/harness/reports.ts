/** Reports to deliver, and a destination that does as a test says. */
import pino from 'pino'
import { destination } from '../../consumers/deliver/config.ts'
import { openQueue, type Queue, type QueueContext } from '../../consumers/deliver/queue.ts'
import type { Outgoing, Sender } from '../../consumers/deliver/sender.ts'
import { systemClock } from '../../monitoring/clock.ts'
import type { ReportDeliveryDoc } from '../../schemas/report-delivery.ts'
import { newDelivery } from '../../schemas/report-delivery.ts'
import type { Report } from '../../schemas/topics.ts'
import type { DocumentStore } from '../../storage/documents.ts'
import type { Stores } from './stores.ts'

/** A report event of one's own study each, unless told otherwise. Its object is put into the store. */
export async function aReport(
  { objects }: Pick<Stores, 'objects'>,
  number: number,
  fields: Partial<Report> & { content?: Buffer } = {},
): Promise<Report & { object: string }> {
  const { content = Buffer.from(`report ${number}`), ...rest } = fields
  const { key, bytes } = await objects.put(content, 'application/octet-stream')
  return {
    ...{ id: `rp_${number}`, study: `st_${number}`, site: 'main', instance: null, prediction: null, revision: 1 },
    ...{ format: 'json', bytes, destination: 'store', outcome: 'made', code: null, at: Date.UTC(2026, 0, 1) },
    ...rest,
    object: key,
  }
}

export interface FakeSender extends Sender {
  /** Every attempt, as it began. */
  readonly seen: Outgoing[]
  readonly reports: string[]
  /** Most that were under way at once. */
  readonly most: number
  behave(as: (report: Outgoing, signal: AbortSignal) => Promise<void> | void): void
}

export function fakeSender(newestOnly = false): FakeSender {
  const seen: Outgoing[] = []
  let now = 0
  let most = 0
  let act: (report: Outgoing, signal: AbortSignal) => Promise<void> | void = () => undefined
  return {
    seen,
    newestOnly,
    get reports() {
      return seen.map(({ delivery }) => delivery.report)
    },
    get most() {
      return most
    },
    behave(as) {
      act = as
    },
    takes: () => true,
    async send(report, signal) {
      seen.push(report)
      most = Math.max(most, ++now)
      try {
        await act(report, signal)
      } finally {
        now--
      }
      return { text: 'taken' }
    },
    close: async () => undefined,
  }
}

export interface OpenedQueue extends Queue {
  readonly told: ReportDeliveryDoc[]
}

/** A queue with real stores; `settings` are a destination's, quick unless told otherwise. */
export function openTestQueue(
  stores: Pick<Stores, 'objects'> & { documents: DocumentStore },
  sender: Sender,
  options: Partial<QueueContext> & { settings?: object } = {},
): OpenedQueue {
  const told: ReportDeliveryDoc[] = []
  const { settings, ...rest } = options
  const queue = openQueue({
    ...{ documents: stores.documents, objects: stores.objects, clock: systemClock, random: () => 1 },
    logger: pino({ level: 'silent' }),
    destination: destination.parse({
      ...{
        name: 'there',
        kind: 'folder',
        path: '/nowhere',
        backoffMs: 10,
        maxBackoffMs: 20,
        restMs: 10,
        maxRestMs: 20,
      },
      ...settings,
    }),
    ...{ sender, maxBytes: 1_000_000, owner: 'one', leaseMs: 10_000, pollMs: 50, stopMs: 1_000 },
    begins: async () => undefined,
    async tell(delivery) {
      told.push(delivery)
    },
    ...rest,
  })
  return { ...queue, told }
}

/** Puts reports in the queue of `there`. */
export async function put(
  { documents }: { documents: DocumentStore },
  reports: readonly (Report & { object: string })[],
  now = Date.now(),
): Promise<ReportDeliveryDoc[]> {
  const deliveries = reports.map(report => newDelivery(report, 'there', now))
  await documents.upsert('reportDeliveries', deliveries)
  return deliveries
}
