/**
 * So many instances and bytes a second, by making whoever brings them wait: nothing is refused. An image is paid for when it
 * is there, so one that is larger than a second's worth still comes in one go, and the next waits the longer.
 */
import type { Clock } from '../monitoring/clock.ts'

export interface RateLimits {
  maxInstancesPerSecond: number | null
  maxBytesPerSecond: number | null
}

export interface Rate {
  /** Resolves when the next image may begin. Callers are served in their order. @throws the signal's reason */
  turn(signal: AbortSignal): Promise<void>
  /** What the image came to. */
  spent(bytes: number): void
}

export function createRate({ maxInstancesPerSecond, maxBytesPerSecond }: RateLimits, clock: Clock): Rate {
  /** When the next image may begin; what was not used is not saved up. */
  let due = Number.NEGATIVE_INFINITY
  let last: Promise<unknown> = Promise.resolve()

  async function pass(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    // Looked at again after the wait: an image that was under way may have been paid for meanwhile.
    for (let now = clock.now(); due > now; now = clock.now()) await clock.sleep(due - now, signal)
    if (maxInstancesPerSecond !== null) due = Math.max(due, clock.now()) + 1_000 / maxInstancesPerSecond
  }

  return {
    turn(signal) {
      if (maxInstancesPerSecond === null && maxBytesPerSecond === null) return Promise.resolve()
      const mine = last.then(() => pass(signal))
      last = mine.catch(() => undefined)
      return mine
    },
    spent(bytes) {
      if (maxBytesPerSecond !== null) due = Math.max(due, clock.now()) + (bytes * 1_000) / maxBytesPerSecond
    },
  }
}
