/**
 * One attempt at one delivery. Each step is a compare-and-set of its document, so that of all processes exactly one takes it:
 * claim, send, keep what became of it, tell the log, done. A crash leaves it where the next one goes on: before the claim
 * nothing was sent; after it the report may have arrived, and is sent again marked as such; after it was kept the log is told.
 */
import type { Logger } from 'pino'
import type { Clock } from '../../monitoring/clock.ts'
import { RaylogError, toRaylogError } from '../../schemas/errors.ts'
import { isOutdatedBy, type ReportDeliveryDoc } from '../../schemas/report-delivery.ts'
import type { DocumentStore } from '../../storage/documents.ts'
import type { ObjectStore } from '../../storage/objects.ts'
import { backoff } from './backoff.ts'
import type { Trouble } from './breaker.ts'
import type { Destination } from './config.ts'
import { type Sender, Undelivered } from './sender.ts'

export interface AttemptContext {
  documents: DocumentStore
  objects: Pick<ObjectStore, 'get'>
  clock: Clock
  random: () => number
  logger: Logger
  destination: Destination
  sender: Sender
  maxBytes: number
  /** The first attempt begins. */
  begins(delivery: ReportDeliveryDoc): Promise<void>
  /** Puts it on the log and the audit, and counts it. */
  tell(delivery: ReportDeliveryDoc): Promise<void>
}

/** What the attempt says of the destination: it answered, it did not, or nothing was asked of it. */
export type Said = 'answered' | 'silent' | 'nothing'

export interface Signals {
  /** Ends a send that is under way. */
  sending: AbortSignal
  /** Ends the wait for a store in which to note what became of it. */
  noting: AbortSignal
}

export interface Outcome {
  said: Said
  trouble: Trouble
}

const nothing: Outcome = { said: 'nothing', trouble: { code: null, message: null } }

type Fate = Partial<ReportDeliveryDoc> & { said: Said }

/** @throws RaylogError of a store that is away; a signal's reason when aborted. Then it stays as it is */
export async function attempt(
  context: AttemptContext,
  found: ReportDeliveryDoc,
  { sending, noting }: Signals,
): Promise<Outcome> {
  const { documents, clock } = context
  if (found.state !== 'pending' && found.state !== 'sending') {
    // Claimed as well: it may have been read a moment before another had told of it.
    const mine = { ...found, version: found.version + 1 }
    if (await documents.advance('reportDeliveries', mine)) await finish(context, mine, noting)
    return nothing
  }
  const claimed: ReportDeliveryDoc = {
    ...found,
    ...{ version: found.version + 1, state: 'sending', attempts: found.attempts + 1, at: clock.now() },
    redelivered: found.redelivered || found.state === 'sending',
  }
  if (!(await documents.advance('reportDeliveries', claimed))) return nothing
  const { said, ...fate } = await fateOf(context, claimed, sending)
  const next: ReportDeliveryDoc = { ...claimed, ...fate, version: claimed.version + 1 }
  const outcome = { said, trouble: { code: next.code, message: next.message } }
  if (!(await insist(context, noting, () => documents.advance('reportDeliveries', next)))) {
    // Our lease ran out, and another process sends it too: the receiver knows it by its id.
    context.logger.warn({ delivery: next.id, state: next.state }, 'another process has taken this delivery over')
    return outcome
  }
  if (next.state !== 'pending') await finish(context, next, noting)
  return outcome
}

async function fateOf(context: AttemptContext, claimed: ReportDeliveryDoc, signal: AbortSignal): Promise<Fate> {
  const { documents, objects, sender, clock, maxBytes } = context
  try {
    if (sender.newestOnly && (await isOutdated(documents, claimed)))
      return { state: 'superseded', at: clock.now(), code: null, message: null, said: 'nothing' }
    if (claimed.bytes > maxBytes) throw new RaylogError('too-large', `more than deliver.maxBytes, ${maxBytes} bytes`)
    if (claimed.attempts === 1) await context.begins(claimed)
  } catch (thrown) {
    signal.throwIfAborted()
    const error = toRaylogError(thrown)
    if (error.entry.verdict === 'park') return { ...refused(context, error), said: 'nothing' }
    // Nothing was begun, so it is no attempt: the next one is the first again, and says that it begins.
    return { ...later(context, claimed, error), attempts: claimed.attempts - 1, said: 'nothing' }
  }
  try {
    const bytes = await objects.get(claimed.object)
    return await send(context, claimed, bytes, signal)
  } catch (thrown) {
    signal.throwIfAborted()
    const error = toRaylogError(thrown)
    // Ours, not the destination's: an object that is gone, or a store that is away.
    const final = error.entry.verdict === 'park'
    return { ...(final ? refused(context, error) : later(context, claimed, error)), said: 'nothing' }
  }
}

async function send(
  context: AttemptContext,
  delivery: ReportDeliveryDoc,
  bytes: Buffer,
  signal: AbortSignal,
): Promise<Fate> {
  const { sender, clock, destination } = context
  try {
    const { text: receipt, commitment = null } = await sender.send({ delivery, bytes }, signal)
    const now = clock.now()
    return { state: 'sent', at: now, sentAt: now, code: null, message: null, receipt, commitment, said: 'answered' }
  } catch (thrown) {
    signal.throwIfAborted()
    const error = toRaylogError(thrown)
    const own = thrown instanceof Undelivered ? thrown : undefined
    const told = own ?? { final: error.entry.verdict === 'park', mayHaveArrived: false, retryAfterMs: null }
    // An error that is not the sender's own says nothing of the destination.
    const said = own === undefined ? 'nothing' : own.answered ? 'answered' : 'silent'
    const redelivered = delivery.redelivered || told.mayHaveArrived
    const tooLate = clock.now() - delivery.queuedAt >= destination.giveUpMs
    if (told.final || tooLate) return { ...refused(context, error), redelivered, said }
    const next = later(context, delivery, error)
    const at = Math.max(next.at, clock.now() + (told.retryAfterMs ?? 0))
    return { ...next, at, redelivered, said }
  }
}

const refused = ({ clock }: AttemptContext, { code, message }: RaylogError): Partial<ReportDeliveryDoc> => ({
  ...{ state: 'refused', at: clock.now(), code, message },
})

function later(
  { clock, destination, random }: AttemptContext,
  { attempts }: ReportDeliveryDoc,
  { code, message }: RaylogError,
): Pick<ReportDeliveryDoc, 'state' | 'at' | 'code' | 'message'> {
  const { backoffMs: firstMs, maxBackoffMs: mostMs } = destination
  return { state: 'pending', at: clock.now() + backoff({ firstMs, mostMs }, attempts, random), code, message }
}

/** Whether a newer revision is on its way, or there. */
async function isOutdated(documents: DocumentStore, claimed: ReportDeliveryDoc): Promise<boolean> {
  if (claimed.revision === null) return false
  const { items } = await documents.find('reportDeliveries', { where: { line: claimed.line }, limit: 1_000 })
  return items.some(other => isOutdatedBy(claimed, other))
}

/** What became of it goes on the log; then there is nothing left to do. */
async function finish(context: AttemptContext, over: ReportDeliveryDoc, signal: AbortSignal): Promise<void> {
  await insist(context, signal, () => context.tell(over))
  const done = { ...over, version: over.version + 1, queue: null }
  await insist(context, signal, () => context.documents.advance('reportDeliveries', done))
}

const retryMs = { firstMs: 200, mostMs: 10_000 }

/** Waits here while a store is away: were it left to the queue, the destination would get a second copy. */
async function insist<T>({ clock, random }: AttemptContext, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work()
    } catch (thrown) {
      const { code, entry } = toRaylogError(thrown)
      if (signal.aborted || code === 'stopping' || entry.verdict !== 'wait') throw thrown
      await clock.sleep(backoff(retryMs, tries, random), signal)
    }
  }
}
