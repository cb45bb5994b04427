/** Sender: the port for ways to hand a report to another system. One file a kind, in kinds/. */
import { type ErrorCode, RaylogError } from '../../schemas/errors.ts'
import type { ReportDeliveryDoc } from '../../schemas/report-delivery.ts'

export interface Outgoing {
  /** Its id is the same for every attempt, so that a receiver can know a second copy. */
  readonly delivery: Readonly<ReportDeliveryDoc>
  readonly bytes: Buffer
}

/** What is known of a report without reading all of it. */
export interface Offered {
  readonly format: string
  /** Whether it is a DICOM file (PS3.10). */
  isDicom(): Promise<boolean>
}

export interface Receipt {
  /** What the destination said, or where the report is there; without anybody's name. */
  text: string
  /** Transaction UID of a storage commitment that was asked for. */
  commitment?: string
}

export interface Sender {
  /** Whether the destination can be given such a report at all. */
  takes(report: Offered): Promise<boolean> | boolean
  /** The destination keeps the newest alone: an older revision that still waits is not sent after it. */
  readonly newestOnly: boolean
  /** Resolves when the destination has it. @throws Undelivered, RaylogError; the signal's reason when aborted */
  send(report: Outgoing, signal: AbortSignal): Promise<Receipt>
  close(): Promise<void>
}

interface UndeliveredOptions {
  code?: ErrorCode
  final?: boolean
  answered?: boolean
  mayHaveArrived?: boolean
  retryAfterMs?: number | null
  cause?: unknown
}

/** The destination did not take it. */
export class Undelivered extends RaylogError {
  /** Trying again would not help. */
  readonly final: boolean
  /** It is there, and said so: whatever else waits for it may go on. */
  readonly answered: boolean
  /** Nobody knows whether it arrived: the next attempt is marked as a repetition. */
  readonly mayHaveArrived: boolean
  /** The destination asked for this pause, ms. */
  readonly retryAfterMs: number | null
  constructor(message: string, options: UndeliveredOptions = {}) {
    const { code = 'delivery-failed', final = false, answered = true, mayHaveArrived = false, cause } = options
    super(code, message, { cause })
    this.final = final
    this.answered = answered
    this.mayHaveArrived = mayHaveArrived
    this.retryAfterMs = options.retryAfterMs ?? null
  }
}
