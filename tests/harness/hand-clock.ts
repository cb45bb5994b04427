import type { Clock } from '../../monitoring/clock.ts'

/** A clock that stands still until the test moves it. */
export class HandClock implements Clock {
  #now: number
  #sleepers = new Set<{ until: number; wake: () => void }>()

  constructor(now = Date.UTC(2026, 0, 1)) {
    this.#now = now
  }

  now = (): number => this.#now

  sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const gone = () => {
        this.#sleepers.delete(sleeper)
        reject(signal?.reason)
      }
      const wake = () => {
        this.#sleepers.delete(sleeper)
        signal?.removeEventListener('abort', gone)
        resolve()
      }
      const sleeper = { until: this.#now + ms, wake }
      this.#sleepers.add(sleeper)
      signal?.addEventListener('abort', gone, { once: true })
    })

  /** For each that sleeps, how much longer, ms. */
  get sleeping(): number[] {
    return [...this.#sleepers].map(({ until }) => until - this.#now)
  }

  /** Wakes those whose time has come. */
  move(ms: number): void {
    this.#now += ms
    for (const { until, wake } of [...this.#sleepers]) if (until <= this.#now) wake()
  }

  /** Puts it to another time: who sleeps is woken after as long as before, as by a timer of the machine. */
  put(now: number): void {
    for (const sleeper of this.#sleepers) sleeper.until += now - this.#now
    this.#now = now
  }
}
