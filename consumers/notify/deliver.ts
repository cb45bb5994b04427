/**
 * One notification to one destination, claimed by its id before it is sent:
 *
 * ```
 *            ┌─ sent     the receiver took it
 * claimed ───┤
 *            └─ failed   it was refused, or did not answer in all attempts
 * ```
 *
 * A delivery that is found claimed may have been sent by a process that was killed: it is sent again, under the same id
 * and marked as such. One that is sent or failed is over.
 */
import type { Ports } from '../../kafka/ports.ts'
import type { Clock } from '../../monitoring/clock.ts'
import type { DeliveryDoc } from '../../schemas/documents.ts'
import { type RaylogError, toRaylogError } from '../../schemas/errors.ts'
import { ids } from '../../schemas/ids.ts'
import { type Sender, Undelivered } from './channel.ts'
import { type Rest, rest } from './rest.ts'

export interface DeliveryPolicy {
  attempts: number
  backoffMs: number
  maxBackoffMs: number
  deadlineMs: number
  restAfter: number
  restMs: number
}

export interface DeliverPorts extends Pick<Ports, 'documents' | 'metrics'> {
  clock: Clock
  /** 0..1 */
  random: () => number
}

/** Which delivery it is. */
export interface Claim {
  /** What is told, once to each destination. */
  key: string
  /** The event that it tells of. */
  subject: string
  study: string
  /** One of its kind; holds no secret, since people see it. */
  destination: string
  /** The receiver may have this already, by a delivery before. */
  repeat?: boolean
}

export type Deliver<M> = (
  claim: Claim,
  message: () => M | Promise<M>,
  signal: AbortSignal,
) => Promise<'sent' | 'failed'>

/**
 * @returns a function that resolves when the delivery is over; it rejects when a store is away, or when aborted. What is
 * told is asked for only where it is to be sent.
 */
export function deliverer<M>(ports: DeliverPorts, policy: DeliveryPolicy, channel: Sender<M>): Deliver<M> {
  const { metrics, clock } = ports
  const resting = rest(policy, clock)

  async function finish(
    delivery: DeliveryDoc,
    state: 'sent' | 'failed',
    error: RaylogError | null,
    signal: AbortSignal,
  ) {
    const { code, message } = error ?? { code: null, message: null }
    await kept(ports, policy, { ...delivery, state, code, message, finishedAt: clock.now() }, signal)
    metrics.deliveries.inc({ channel: channel.name, outcome: state })
    return state
  }

  return async (claim, told, signal) => {
    const mine = await claimed(ports, channel.name, claim)
    if (typeof mine === 'string') return mine
    const { delivery, redelivered } = mine
    const message = await told()
    if (!resting.mayTry()) {
      const error = new Undelivered('not tried: the receiver has not answered several times in a row', { final: true })
      return finish(delivery, 'failed', error, signal)
    }
    if (redelivered) metrics.deliveries.inc({ channel: channel.name, outcome: 'redelivered' })
    const work = { channel, message, delivery, redelivered: redelivered || claim.repeat === true, resting }
    const outcome = await attempts(ports, policy, work, signal)
    return finish({ ...delivery, attempts: outcome.attempts }, outcome.error ? 'failed' : 'sent', outcome.error, signal)
  }
}

/** The delivery to make, or how it ended where it is over already. */
async function claimed({ documents, clock }: DeliverPorts, channel: string, claim: Claim) {
  const { key, subject, study, destination } = claim
  const id = ids.delivery(key, channel, destination)
  const delivery: DeliveryDoc = {
    ...{ id, subject, study, channel, destination },
    state: 'claimed',
    attempts: 0,
    code: null,
    message: null,
    claimedAt: clock.now(),
    finishedAt: null,
  }
  if (await documents.insert('deliveries', delivery)) return { delivery, redelivered: false }
  const known = (await documents.get('deliveries', id)) ?? delivery // erased between the two: ours to make
  return known.state === 'claimed' ? { delivery: known, redelivered: true } : known.state
}

interface Work<M> {
  channel: Sender<M>
  message: M
  delivery: DeliveryDoc
  redelivered: boolean
  resting: Rest
}

/** Sends until it is taken, refused, or the attempts or the time are used up. @throws the signal's reason */
async function attempts<M>(ports: DeliverPorts, policy: DeliveryPolicy, work: Work<M>, signal: AbortSignal) {
  const { clock } = ports
  const { channel, message, delivery, redelivered, resting } = work
  const deadline = clock.now() + policy.deadlineMs
  for (let attempt = 1; ; attempt++) {
    const count = delivery.attempts + attempt
    try {
      await channel.send(message, { idempotencyKey: delivery.id, attempt: count, redelivered, signal })
      resting.answered()
      return { attempts: count, error: null }
    } catch (thrown) {
      if (signal.aborted) {
        resting.brokenOff() // stays claimed: the next reader of the event sends it, marked
        throw signal.reason
      }
      const error = toRaylogError(thrown)
      // A store or log of ours that is away comes back.
      const ours = { final: error.entry.verdict !== 'wait', retryAfterMs: null }
      const { final, retryAfterMs } = thrown instanceof Undelivered ? thrown : ours
      const pause = Math.max(backoff(policy, attempt, ports.random), retryAfterMs ?? 0)
      if (final) resting.answered()
      else if (attempt >= policy.attempts || clock.now() + pause > deadline) resting.silent()
      else {
        await pauseVisibly(
          ports,
          { ...delivery, attempts: count, code: error.code, message: error.message },
          pause,
          work,
          signal,
        )
        continue
      }
      return { attempts: count, error }
    }
  }
}

/** Between two attempts the document says how many there were and why the last one failed. */
async function pauseVisibly(
  { documents, clock }: DeliverPorts,
  soFar: DeliveryDoc,
  ms: number,
  { resting }: Pick<Work<unknown>, 'resting'>,
  signal: AbortSignal,
) {
  try {
    await Promise.all([documents.upsert('deliveries', [soFar]), clock.sleep(ms, signal)])
  } catch (thrown) {
    resting.brokenOff()
    throw thrown
  }
}

/** Full jitter over the upper half: 0.5..1 times the doubled pause, ms. */
function backoff({ backoffMs, maxBackoffMs }: DeliveryPolicy, attempt: number, random: () => number): number {
  return Math.min(maxBackoffMs, backoffMs * 2 ** (attempt - 1)) * (0.5 + random() / 2)
}

/**
 * Keeps what became of a delivery, waiting here while the store is away: were it left to the runner, the whole event
 * would be handled again, and the receiver would get a second copy.
 */
async function kept(
  { documents, clock, random }: DeliverPorts,
  policy: DeliveryPolicy,
  doc: DeliveryDoc,
  signal: AbortSignal,
) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await documents.upsert('deliveries', [doc])
    } catch (thrown) {
      if (signal.aborted || toRaylogError(thrown).entry.verdict !== 'wait') throw thrown
      await clock.sleep(backoff(policy, attempt, random), signal)
    }
  }
}
