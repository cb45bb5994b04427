/** A destination that does not answer is left alone for a while, so that it costs the others nothing. */
import type { Clock } from '../../monitoring/clock.ts'

export interface Rest {
  /** Whether a delivery may try. After a rest exactly one may, until its outcome is known. */
  mayTry(): boolean
  answered(): void
  /** A delivery gave up without an answer. */
  silent(): void
  /** The delivery that was let through was broken off by us: the next one may try. */
  brokenOff(): void
}

export function rest({ restAfter, restMs }: { restAfter: number; restMs: number }, clock: Clock): Rest {
  let inARow = 0
  let until = 0
  let trying = false
  return {
    mayTry() {
      if (inARow < restAfter) return true
      const left = until - clock.now()
      // A longer rest than there is was begun before the clock was put back.
      if (trying || (left > 0 && left <= restMs)) return false
      trying = true
      return true
    },
    answered() {
      inARow = 0
      trying = false
    },
    silent() {
      inARow += 1
      trying = false
      until = clock.now() + restMs
    },
    brokenOff() {
      trying = false
    },
  }
}
