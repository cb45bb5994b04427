/** A process' time with a destination: it begins what is due, as many at once and as fast as the destination may get. */
import { toRaylogError } from '../../schemas/errors.ts'
import type { ReportDeliveryDoc, ReportQueueDoc } from '../../schemas/report-delivery.ts'
import type { Term } from '../../storage/terms.ts'
import { attempt } from './attempt.ts'
import { type Breaker, createBreaker } from './breaker.ts'
import type { QueueContext } from './queue.ts'
import { createUnderWay } from './under-way.ts'

export interface Tenure {
  term: Term<ReportQueueDoc>
  /** Until somebody pokes, or so long. */
  rest(ms: number): Promise<void>
  poke(): void
  stopping: AbortSignal
}

/** Resolves when the term is over: told to stop, or lost to another. @throws what the store throws */
export async function workOn(context: QueueContext, { term, rest, poke, stopping }: Tenure): Promise<void> {
  const { documents, clock, logger, random, destination, pollMs, leaseMs, stopMs } = context
  const { name, concurrency, ratePerSecond } = destination
  const beatMs = Math.min(pollMs, leaseMs / 4)
  const breaker = createBreaker(destination, clock, random)
  const show = createBoard(context, term, breaker, beatMs)
  const underWay = createUnderWay(documents, clock, { name, concurrency })
  const over = new AbortController()
  let nextStart = Number.NEGATIVE_INFINITY

  async function one(found: ReportDeliveryDoc): Promise<void> {
    try {
      const { said, trouble } = await attempt(context, found, over.signal)
      if (said === 'answered') breaker.answered()
      if (said === 'silent') breaker.silent(trouble)
    } catch (thrown) {
      const { code } = toRaylogError(thrown)
      if (!over.signal.aborted && code !== 'stopping') logger.warn({ destination: name, code }, 'a delivery is put off')
    } finally {
      underWay.remove(found)
      poke()
    }
  }

  /** @returns how long there is nothing to begin, unless somebody pokes, ms */
  async function begin(): Promise<number> {
    while (breaker.room(underWay.size, concurrency) > 0 && term.held) {
      const wait = nextStart - clock.now()
      if (wait > 0) return Math.min(wait, beatMs)
      const found = await underWay.next()
      if (!found) break
      if (ratePerSecond !== null) nextStart = clock.now() + 1_000 / ratePerSecond
      underWay.add(found, one(found))
    }
    const rests = breaker.restsFor()
    return rests > 0 ? Math.min(rests, beatMs) : beatMs
  }

  /** Those under way, while nobody else may have begun them; what takes longer is left to whoever comes next. */
  async function arrive(): Promise<void> {
    const enough = new AbortController()
    const late = clock.sleep(Math.min(stopMs, leaseMs / 2), enough.signal).catch(() => undefined)
    await Promise.race([underWay.settled(), late])
    enough.abort()
  }

  try {
    while (!stopping.aborted && term.held) {
      await show()
      const pause = await begin()
      if (!stopping.aborted) await rest(pause)
    }
    if (term.held) await show('now')
    if (term.held) await arrive()
  } finally {
    over.abort(new Error('the term is over'))
    await underWay.settled()
  }
  if (term.held) await show('left')
}

/** The sign of life, and what people see of the queue: every so often, and at once where it is something else than before. */
function createBoard(
  { clock, logger, destination }: QueueContext,
  term: Term<ReportQueueDoc>,
  breaker: Breaker,
  beatMs: number,
) {
  let savedAt = Number.NEGATIVE_INFINITY
  let shown: string | undefined
  let wasOpen = false
  return async (why?: 'now' | 'left'): Promise<void> => {
    const { state, failingSince, trouble } = breaker
    const view = { breaker: state, failingSince, ...trouble }
    const text = JSON.stringify(view)
    if (why === undefined && text === shown && clock.now() - savedAt < beatMs) return
    if (state === 'open' && !wasOpen)
      logger.warn(
        { destination: destination.name, code: trouble.code },
        'a destination does not answer; it is left alone',
      )
    if (state === 'closed' && wasOpen) logger.info({ destination: destination.name }, 'a destination answers again')
    wasOpen = state !== 'closed'
    savedAt = clock.now()
    shown = text
    await term.save(why === 'left' ? { ...view, owner: null } : view)
  }
}
