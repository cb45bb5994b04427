/** Looks for documents whose time has come, beside other processes that do. Nothing of them is held between two looks. */
import type { Logger } from 'pino'
import type { Clock } from '../monitoring/clock.ts'
import { toRaylogError } from '../schemas/errors.ts'

export interface Due<T extends { id: string }> {
  /** What they are, for people: studies. */
  what: string
  clock: Clock
  logger: Logger
  random: () => number
  /** Between two looks, ms. */
  lookMs: number
  /** The oldest of those that are due, so many at most; `next` is not null where there are more. */
  find(limit: number): Promise<{ items: T[]; next: string | null }>
  /** Does what there is to do with one. Safe by several processes at once. */
  consider(one: T, signal: AbortSignal): Promise<void>
}

const pageSize = 200
const atOnce = 16

/** Looks until the signal. Resolves when the last look is over. */
export async function lookForDue<T extends { id: string }>(due: Due<T>, signal: AbortSignal): Promise<void> {
  const { clock, logger, lookMs, what } = due
  let away = false
  while (!signal.aborted) {
    let more = false
    try {
      more = await look(due, signal)
      away = false
    } catch (thrown) {
      if (!away && !signal.aborted)
        logger.warn({ code: toRaylogError(thrown).code }, `cannot look for ${what} that are due`)
      away = true
    }
    if (!more) await clock.sleep(lookMs, signal).catch(() => undefined)
  }
}

/** @returns whether there may be more to do at once */
async function look<T extends { id: string }>(due: Due<T>, signal: AbortSignal): Promise<boolean> {
  const { what, logger, random, find, consider } = due
  const { items, next } = await find(pageSize)
  // Replicas look at the same page: each begins elsewhere, and finds done what another did.
  const waiting = items.map(one => ({ one, at: random() })).toSorted((a, b) => a.at - b.at)
  let failed = 0
  async function work(): Promise<void> {
    for (let next = waiting.pop(); next && !signal.aborted; next = waiting.pop()) {
      const { one } = next
      await consider(one, signal).catch((thrown: unknown) => {
        failed++
        if (signal.aborted) return
        const { code, message } = toRaylogError(thrown)
        logger.warn({ code, reason: message, id: one.id }, `one of the ${what} that are due is looked at again`)
      })
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  return next !== null && failed < items.length
}
