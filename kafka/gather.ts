/**
 * Appends what is to go on the log, and lets it wait for company where others wait too. Who keeps up has each event on the log at
 * once. Who is behind makes events wait a little for each other: each already waited for a place far longer than that, and one
 * append of several (one sync, or one request to a broker) costs hardly more than one of one.
 */
import type { Clock } from '../monitoring/clock.ts'
import { toRaylogError } from '../schemas/errors.ts'

export interface GatherOptions<T> {
  /** Resolves when all of them are durable, rejects when none may be taken to be. */
  append(all: readonly T[]): Promise<unknown>
  clock: Clock
  /** Whether events wait for a place. */
  behind(): boolean
  /** So many calls go without waiting for more. */
  enough: number
  /** Longest wait for company, ms. */
  gatherMs: number
}

/** @returns appends what one caller has; resolves when it is durable, rejects when none of it may be taken to be */
export function gathering<T>({ append, clock, behind, enough, gatherMs }: GatherOptions<T>) {
  let gathered: { some: readonly T[]; done: PromiseWithResolvers<void> }[] = []

  async function flush(): Promise<void> {
    const all = gathered
    gathered = []
    if (all.length === 0) return
    try {
      await append(all.flatMap(one => one.some))
      for (const { done } of all) done.resolve()
    } catch (thrown) {
      // An outage is everybody's; what else a log refuses may be one caller's fault, and must not be its neighbours'.
      const alone = all.length > 1 && toRaylogError(thrown).entry.verdict !== 'wait'
      for (const { some, done } of all) {
        if (alone) append(some).then(() => done.resolve(), done.reject)
        else done.reject(thrown)
      }
    }
  }

  return async (some: readonly T[]): Promise<void> => {
    if (gathered.length === 0 && !behind()) {
      await append(some)
      return
    }
    const done = Promise.withResolvers<void>()
    gathered.push({ some, done })
    if (gathered.length >= enough || !behind()) void flush()
    else if (gathered.length === 1) void clock.sleep(gatherMs).then(flush)
    await done.promise
  }
}
