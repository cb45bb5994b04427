/** Channel: the port for ways to tell someone of a result. One file a channel, in channels/. */
import { type ErrorCode, RaylogError } from '../../schemas/errors.ts'
import type { Prediction } from '../../schemas/topics.ts'

/** What the webhooks of the settings are told. Never a name: whoever may see one follows a link and is asked who they are. */
export interface PredictionMessage {
  readonly type: 'prediction.created'
  readonly prediction: Prediction
  readonly links: Readonly<Record<string, string>>
}

/** green: nothing was found, or no longer; red: something was; alert: critical, or STAT. */
export type Level = 'green' | 'red' | 'alert'

/** A notification as one channel may tell it to one recipient: what the channel may not carry is not in it. */
export interface NoticeMessage {
  readonly notice: string
  readonly edition: number
  readonly rule: string
  readonly level: Level
  readonly critical: boolean
  readonly title: string
  /** What is known besides, as name and text. */
  readonly facts: readonly (readonly [string, string])[]
  readonly findings: readonly {
    readonly label: string
    readonly present: boolean
    readonly model: string
    readonly group: string | null
    readonly score?: number
  }[]
  /** Against what was told before. */
  readonly changes: readonly string[]
  readonly links: { readonly study: string | null; readonly acknowledge: string | null }
  /** The name as DICOM has it (PN); null where the channel may not carry it, or there is none. */
  readonly patient: { readonly pseudonym: string; readonly name: string } | null
  /** When it was made; ms since the epoch. */
  readonly at: number
  readonly recipient: { readonly person: string; readonly address: string | null }
  readonly researchUseOnly: boolean
  /** JPEG, where the channel may carry it and there is one. */
  readonly image: Buffer | null
}

export interface SendOptions {
  /** The same for every attempt at this message to this destination, so that a receiver knows a second copy. */
  readonly idempotencyKey: string
  /** 1 for the first. */
  readonly attempt: number
  /** An earlier attempt may have arrived without our knowing. */
  readonly redelivered: boolean
  readonly signal: AbortSignal
}

export interface Sender<M> {
  /** Kind of the channel, as in metrics and documents. */
  readonly name: string
  /** Resolves when the receiver has taken it. @throws Undelivered; the signal's reason when aborted */
  send(message: M, options: SendOptions): Promise<void>
  close?(): void
}

/** The receiver did not take it. */
export class Undelivered extends RaylogError {
  /** Trying again would not help. */
  readonly final: boolean
  /** The receiver asked for this pause, ms. */
  readonly retryAfterMs: number | null
  constructor(
    message: string,
    {
      code = 'delivery-failed',
      final = false,
      retryAfterMs = null,
      cause,
    }: { code?: ErrorCode; final?: boolean; retryAfterMs?: number | null; cause?: unknown } = {},
  ) {
    super(code, message, { cause })
    this.final = final
    this.retryAfterMs = retryAfterMs
  }
}
