/**
 * Events that may wait. They begin while those who come first have nothing in hand, as many at once as there are places; and
 * whatever others do, once they are older than they may get. So what nobody waits for leaves the cores to what somebody does, is
 * done in the next pause, and under endless load is done so much later and no more.
 */
import type { Clock } from '../../monitoring/clock.ts'

export interface AsideOptions<T> {
  clock: Clock
  /** When those who come first last had something in hand, ms since the epoch; undefined: they have now. */
  restingSince(): number | undefined
  /** Age beyond which nothing is waited for, ms. */
  longestMs: number
  /** Places that are free. */
  free(): number
  begin(one: T): void
}

/** Images of a burst leave gaps between them: a pause is longer, ms. One that is taken for a pause costs a page or two. */
const pauseMs = 20
/** Between two looks while something waits, ms. */
const lookMs = 10

export class Aside<T> {
  readonly #options: AsideOptions<T>
  /** In the order in which they came. */
  readonly #waiting: { one: T; since: number }[] = []
  readonly #closed = new AbortController()
  #looks = false

  constructor(options: AsideOptions<T>) {
    this.#options = options
  }

  /** @param since when it was put on the log, ms since the epoch */
  hold(one: T, since: number): void {
    this.#waiting.push({ one, since })
    this.look()
  }

  /** Begins what may begin now. */
  look(): void {
    const { clock, restingSince, longestMs, free, begin } = this.#options
    const now = clock.now()
    const resting = restingSince()
    const paused = resting !== undefined && now - resting >= pauseMs
    // One that is as far ahead of this clock is none of now either: the clock was put back.
    const mayBegin = ({ since }: { since: number }) => paused || Math.abs(now - since) >= longestMs
    while (free() > 0 && !this.#closed.signal.aborted) {
      const at = this.#waiting.findIndex(mayBegin)
      const [next] = at < 0 ? [] : this.#waiting.splice(at, 1)
      if (!next) break
      begin(next.one)
    }
    void this.#keepLooking()
  }

  /** Begins nothing any more. */
  close(): void {
    this.#closed.abort(new Error('closed'))
  }

  async #keepLooking(): Promise<void> {
    if (this.#looks || this.#waiting.length === 0 || this.#closed.signal.aborted) return
    this.#looks = true
    const woken = await this.#options.clock.sleep(lookMs, this.#closed.signal).then(
      () => true,
      () => false,
    )
    this.#looks = false
    if (woken) this.look()
  }
}
