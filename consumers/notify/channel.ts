/** Channel: the port for ways to tell someone of a result. One file a channel. */
import { type ErrorCode, RaylogError } from '../../schemas/errors.ts'
import type { Prediction } from '../../schemas/topics.ts'

/** What is told. Never a name: whoever may see one follows a link and is asked who they are. */
export interface Message {
  readonly type: 'prediction.created'
  readonly prediction: Prediction
  readonly links: Readonly<Record<string, string>>
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

export interface Channel {
  /** Kind of the channel, as in metrics and documents. */
  readonly name: string
  /** One of that kind; holds no secret, since people see it. */
  readonly destination: string
  wants(prediction: Prediction): boolean
  /** Resolves when the receiver has taken it. @throws Undelivered; the signal's reason when aborted */
  send(message: Message, options: SendOptions): Promise<void>
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
