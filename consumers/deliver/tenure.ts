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
  const [over, notedEnough] = [new AbortController(), new AbortController()]
  const signals = { sending: over.signal, noting: notedEnough.signal }
  let nextStart = Number.NEGATIVE_INFINITY

  async function one(found: ReportDeliveryDoc): Promise<void> {
    try {
      const { said, trouble } = await attempt(context, found, signals)
      if (said === 'answered') breaker.answered()
      if (said === 'silent') breaker.silent(trouble)
    } catch (thrown) {
      const { code } = toRaylogError(thrown)
      if (!over.signal.aborted && code !== 'stopping') logger.warn({ destination: name, code }, 'a delivery is put off')
      // It is still due, and what is the matter may well be the matter still.
      await clock.sleep(beatMs, AbortSignal.any([over.signal, stopping])).catch(() => undefined)
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

  /**
   * A store that is away ends no term while nobody else may have taken it: what is under way goes on, and is noted later.
   * @returns how long there is nothing to do, unless somebody pokes, ms
   */
  async function turn(): Promise<number> {
    const pause = await unlessAway(async () => {
      await show()
      return await begin()
    })
    return pause ?? beatMs
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
      const pause = await turn()
      if (!stopping.aborted) await rest(pause)
    }
    if (term.held) await unlessAway(() => show('now'))
    if (term.held) await arrive()
  } finally {
    over.abort(new Error('the term is over'))
    // What had arrived is noted as soon as it can be, in a term or not, or it would be sent again; a stop waits no longer.
    const enough = () => notedEnough.abort(over.signal.reason)
    if (stopping.aborted) enough()
    stopping.addEventListener('abort', enough, { once: true })
    await underWay.settled()
    stopping.removeEventListener('abort', enough)
  }
  if (term.held) await show('left')
}

/** @returns undefined where a store is away */
async function unlessAway<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (thrown) {
    if (toRaylogError(thrown).entry.verdict !== 'wait') throw thrown
    return undefined
  }
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
    const begun = clock.now()
    await term.save(why === 'left' ? { ...view, owner: null } : view)
    savedAt = begun
    shown = text
  }
}
