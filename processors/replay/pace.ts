import type { Clock } from '../../monitoring/clock.ts'

/** What was missed is made up for within so long, ms. */
const burstMs = 100

/** Lets one through at a time, so many a second; null: at once. Callers come one after the other. */
export function createPace(ratePerSecond: number | null, clock: Clock): (signal: AbortSignal) => Promise<void> {
  let due = Number.NEGATIVE_INFINITY
  return async signal => {
    if (ratePerSecond === null) return
    const now = clock.now()
    const mine = Math.max(due, now - burstMs)
    due = mine + 1_000 / ratePerSecond
    if (mine > now) await clock.sleep(mine - now, signal)
  }
}
