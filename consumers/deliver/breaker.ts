/**
 * A destination that does not answer is left alone for a while, so that what waits for it costs nobody anything:
 *
 *   closed ──several in a row without an answer──▶ open ──rested──▶ trying ──answered──▶ closed
 *                                                    ▲               │
 *                                                    └─ no answer ◀──┘ (it rests for longer)
 */
import type { Clock } from '../../monitoring/clock.ts'
import { backoff } from './backoff.ts'

export interface BreakerSettings {
  restAfter: number
  restMs: number
  maxRestMs: number
}

export interface Trouble {
  code: string | null
  message: string | null
}

const none: Trouble = { code: null, message: null }

export interface Breaker {
  readonly state: 'closed' | 'open' | 'trying'
  /** Since when nothing was answered; null while it is. */
  readonly failingSince: number | null
  /** How many more may begin beside those under way: all, one, or none. */
  room(underWay: number, most: number): number
  /** Until something may be tried, ms; 0: now. */
  restsFor(): number
  answered(): void
  silent(trouble: Trouble): void
  /** Why nothing is answered, by the last attempt. */
  readonly trouble: Trouble
}

export function createBreaker(settings: BreakerSettings, clock: Clock, random: () => number): Breaker {
  let inARow = 0
  let rests = 0
  let until = 0
  let failingSince: number | null = null
  let trouble = none
  const isOpen = () => inARow >= settings.restAfter
  const restsFor = () => (isOpen() ? Math.max(0, until - clock.now()) : 0)
  return {
    get state() {
      if (!isOpen()) return 'closed'
      return restsFor() > 0 ? 'open' : 'trying'
    },
    get failingSince() {
      return failingSince
    },
    get trouble() {
      return trouble
    },
    room(underWay, most) {
      if (!isOpen()) return Math.max(0, most - underWay)
      return underWay === 0 && restsFor() === 0 ? 1 : 0
    },
    restsFor,
    answered() {
      inARow = 0
      rests = 0
      failingSince = null
      trouble = none
    },
    silent(said) {
      failingSince ??= clock.now()
      trouble = said
      // Those that were under way when it opened say nothing new.
      if (isOpen() && restsFor() > 0) return
      inARow++
      if (!isOpen()) return
      rests++
      until = clock.now() + backoff({ firstMs: settings.restMs, mostMs: settings.maxRestMs }, rests, random)
    },
  }
}
