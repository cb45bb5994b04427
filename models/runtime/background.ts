/** When background work may go: at once while nothing live comes; while it does, with a rest after each image. */
import { preciseNow } from './protocol.ts'

/** Background work keeps out of the way until nothing live has come for so long, ms. */
const QUIET_MS = 2_000
/** It rests for so many times as long as the image took. */
const RESTS = 3
/**
 * And for so long at least where live work comes to other processes: there an image also costs brokers and stores, and
 * whoever keeps what is said of it, some 10 ms however short the model is; ms.
 */
const LEAST_REST_ELSEWHERE_MS = 3 * 10

export class Background {
  /** When live work last came, ms since the epoch: to this process, and to any. */
  #hereAt = Number.NEGATIVE_INFINITY
  #anywhereAt = Number.NEGATIVE_INFINITY
  #restUntil = Number.NEGATIVE_INFINITY

  cameHere(): void {
    this.#hereAt = preciseNow()
    this.#anywhereAt = this.#hereAt
  }

  cameElsewhere(): void {
    this.#anywhereAt = preciseNow()
  }

  /** @param busyMs of a worker, for what it has just done of background work */
  done(busyMs: number): void {
    const now = preciseNow()
    const least = now - this.#hereAt < QUIET_MS ? 0 : LEAST_REST_ELSEWHERE_MS
    this.#restUntil = now + Math.max(least, RESTS * busyMs)
  }

  get isQuiet(): boolean {
    return preciseNow() - this.#anywhereAt >= QUIET_MS
  }

  /** What is left of a rest, while live work comes, ms. */
  get restMs(): number {
    return Math.max(0, this.#restUntil - preciseNow())
  }
}
