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
  /** So many calls go without waiting for more than what comes in the same turn of the event loop. */
  enough: number
  /** Longest wait for company, ms. */
  gatherMs: number
}

interface Part<T> {
  some: readonly T[]
  done: PromiseWithResolvers<void>
}

/** @returns appends what one caller has; resolves when it is durable, rejects when none of it may be taken to be */
export function gathering<T>({ append, clock, behind, enough, gatherMs }: GatherOptions<T>) {
  let gathered: Part<T>[] = []

  /** Of several that say that it is time, the first is heard. */
  async function flush(all: Part<T>[]): Promise<void> {
    if (all !== gathered) return
    gathered = []
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
    const all = gathered
    const done = Promise.withResolvers<void>()
    all.push({ some, done })
    // With what else comes in this turn of the event loop: the answers of a worker to a load come together.
    if (all.length >= enough || !behind()) setImmediate(() => void flush(all))
    else if (all.length === 1) void clock.sleep(gatherMs).then(() => flush(all))
    await done.promise
  }
}
