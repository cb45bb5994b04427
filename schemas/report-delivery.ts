/** What is kept of reports on their way to other systems: each one's fate, each destination's queue, commitments asked for. */

import { ids } from './ids.ts'
import type { Report } from './topics/reports.ts'

/**
 * ```
 * pending ─▶ sending ─┬─▶ sent         the destination has it
 *    ▲          │     └─▶ refused      it does not take it, or did not for too long
 *    └──────────┘ later again          (pending ─▶ superseded: a newer revision takes its place)
 * ```
 * What is over is begun anew where a person asks for it; what the destination had said before stays in `earlier`.
 * One that is found `sending` by who did not begin it may have arrived: it is sent again, marked as redelivered.
 */
export const deliveryStates = ['pending', 'sending', 'sent', 'refused', 'superseded'] as const
export type ReportDeliveryState = (typeof deliveryStates)[number]

/** What a destination said when it took a report. */
export interface Sending {
  sentAt: number
  receipt: string | null
  /** Transaction UID of the storage commitment that was asked for. */
  commitment: string | null
}

/** One report to one destination. */
export interface ReportDeliveryDoc {
  /** Derived from report, revision and destination, so that no event read twice is two deliveries. */
  id: string
  /** Each write is of the next one, and of exactly one writer. */
  version: number
  report: string
  study: string
  site: string
  instance: string | null
  prediction: string | null
  /** Of the study; null for a report on one image. */
  revision: number | null
  format: string
  /** Key of the report in the object store. */
  object: string
  bytes: number
  /** Name of the destination in the settings. */
  destination: string
  /** The same for all revisions of it to this destination: they go one after the other. */
  line: string
  state: ReportDeliveryState
  /** The destination's name while there is something to do: to send it, or to tell the log. Null once it is over. */
  queue: string | null
  /** When it is looked at next; once it is over, when that was. ms since the epoch. */
  at: number
  attempts: number
  /** How often a person asked for it again. */
  resends: number
  /** An attempt was begun of which nobody knows whether it arrived. */
  redelivered: boolean
  /** Of the last attempt that failed, in the error table. */
  code: string | null
  message: string | null
  /** What the destination said of it, or where it is there. */
  receipt: string | null
  /** Transaction UID of the storage commitment that was asked for. */
  commitment: string | null
  queuedAt: number
  sentAt: number | null
  /** Sendings before this one, the oldest first; those written by earlier versions do not say. */
  earlier?: readonly Sending[]
}

/** Who works on a destination, and how it does (storage/terms.ts). */
export interface ReportQueueDoc {
  /** `destination:epoch` */
  id: string
  destination: string
  kind: string
  epoch: number
  owner: string | null
  beat: number
  updatedAt: number
  /** open: it did not answer several times in a row and is left alone; trying: one delivery finds out. */
  breaker: 'closed' | 'open' | 'trying'
  /** Since when it has taken nothing; null while it does. */
  failingSince: number | null
  /** Why, by the last attempt. */
  code: string | null
  message: string | null
}

/** Whether destinations of this kind keep the newest revision alone: what comes last is what they show. */
export const keepsNewestAlone = (kind: string): boolean => kind === 'fhir' || kind === 'hl7'

/** Whether another of its line, newer and on its way or there, takes the place of this one where the newest alone is kept. */
export const isOutdatedBy = (
  { revision }: Pick<ReportDeliveryDoc, 'revision'>,
  other: Pick<ReportDeliveryDoc, 'state' | 'revision'>,
): boolean => revision !== null && other.state !== 'refused' && (other.revision ?? 0) > revision

/** A storage commitment that we asked a peer for (PS3.4 J). What it answers comes to our DICOM port. */
export interface CommitmentAskedDoc {
  /** Transaction UID. */
  id: string
  version: number
  delivery: string
  /** AE title of the peer. */
  peer: string
  items: { sopClass: string; sopInstance: string }[]
  state: 'asked' | 'kept' | 'failed'
  /** Failure reasons of PS3.3 C.14.1.1, by SOP instance. */
  failures: { sopInstance: string; reason: number }[]
  askedAt: number
  answeredAt: number | null
}

/** A report that was made, as it is put into the queue of a destination. */
export function newDelivery(report: Report & { object: string }, destination: string, now: number): ReportDeliveryDoc {
  const { id, study, site, instance, prediction, revision, format, object, bytes } = report
  return {
    id: ids.reportDelivery(id, revision, destination),
    ...{ version: 1, report: id, study, site, instance, prediction, revision, format, object, bytes, destination },
    line: ids.reportLine(prediction ?? study, format, destination),
    ...{ state: 'pending', queue: destination, at: now, attempts: 0, resends: 0, redelivered: false },
    ...{ code: null, message: null, receipt: null, commitment: null, queuedAt: now, sentAt: null },
  }
}

/** Of the sendings before, so many are kept: a person asks for each. */
const mostEarlier = 100

/** With this sending among those before it, where the destination had taken it. */
export function sendingsOf({ earlier = [], sentAt, receipt, commitment }: ReportDeliveryDoc): readonly Sending[] {
  return sentAt === null ? earlier : [...earlier, { sentAt, receipt, commitment }].slice(-mostEarlier)
}

/**
 * The same to be sent again at once: one that is over begins anew, with what the destination said before kept; one that waits
 * does not wait any longer.
 * @returns undefined for one that is on its way
 */
export function requeued(delivery: ReportDeliveryDoc, now: number): ReportDeliveryDoc | undefined {
  const { version, resends, destination, state, queue } = delivery
  if (state === 'sending' || (state !== 'pending' && queue !== null)) return undefined
  const again = { ...delivery, version: version + 1, resends: resends + 1, at: now }
  if (state === 'pending') return again
  return {
    ...again,
    ...{ state: 'pending', queue: destination, queuedAt: now, attempts: 0, redelivered: false },
    ...{ code: null, message: null, receipt: null, commitment: null, sentAt: null, earlier: sendingsOf(delivery) },
  }
}
