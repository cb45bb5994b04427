/**
 * What a replay gives way to. Within a process the engine puts live images first; this sees what comes and waits in others:
 * the log tells at once of each live image, and what stages have committed tells which of them are late.
 */
import type { EventLog, Lag, Subscription } from '../../kafka/log.ts'
import { topics } from '../../schemas/topics.ts'

/** Looks that are kept of a partition. A stage that is down for hours makes no list that grows. */
const looksKept = 32

export interface GiveWaySettings {
  giveWayTo: readonly string[]
  giveWayAbove: number
  giveWayAfterMs: number
}

export interface GiveWayOptions {
  log: Pick<EventLog, 'lag' | 'subscribe'>
  settings: GiveWaySettings
  /** ms, of one clock: no times of two machines are compared. */
  now(): number
  /** A live image came, to whichever process. */
  came(): void
}

/** The end of a partition as it was at a look. */
interface Mark {
  high: number
  at: number
}

export class GiveWay {
  readonly #options: GiveWayOptions
  readonly #marks = new Map<string, Mark[]>()
  #subscription: Promise<Subscription> | undefined
  #closed = false

  constructor(options: GiveWayOptions) {
    this.#options = options
  }

  /**
   * The stage of live work that is further behind than it may be while a replay runs; null: none is. Also sees to it that
   * live images are heard of, and hears them again where the log had ended that.
   */
  async look(): Promise<string | null> {
    await this.#hear()
    const { log, settings } = this.#options
    let late: string | null = null
    // Of each, so that their ages are known also of one after another that is late.
    for (const stage of settings.giveWayTo) {
      const lags = await log.lag(stage)
      const isLate = lags.map(lag => this.#waitedMs(stage, lag) >= settings.giveWayAfterMs)
      const sum = lags.reduce((total, { lag }) => total + lag, 0)
      if (isLate.includes(true) || sum > settings.giveWayAbove) late ??= stage
    }
    return late
  }

  async close(): Promise<void> {
    this.#closed = true
    const subscription = await this.#subscription?.catch(() => undefined)
    await subscription?.close()
  }

  async #hear(): Promise<void> {
    if (this.#closed) return
    const { log, came } = this.#options
    const forget = () => {
      this.#subscription = undefined
    }
    this.#subscription ??= log.subscribe(
      { topics: [topics.instances.name], from: 'latest' },
      { records: came, failed: forget },
    )
    await this.#subscription.catch(error => {
      forget()
      throw error
    })
  }

  /**
   * How long the event that a stage is to do next has been seen to wait, ms; 0 where none has. What replays say themselves
   * is left out: by that they would hold up themselves.
   */
  #waitedMs(stage: string, { topic, partition, high, lag }: Lag): number {
    if (topic === topics.predictions.name) return 0
    const now = this.#options.now()
    // What retention has removed waits no more, whatever was committed.
    const done = high - lag
    const name = `${stage} ${topic}/${partition}`
    // Nor does what the log has lost: its end is then before a mark, which would stay, and age, on a topic that is quiet.
    const marks = (this.#marks.get(name) ?? []).filter(mark => mark.high > done && mark.high <= high)
    this.#marks.set(name, marks)
    const newest = marks.at(-1)?.high ?? done
    if (high > newest && marks.length < looksKept) marks.push({ high, at: now })
    const [oldest] = marks
    return oldest ? now - oldest.at : 0
  }
}
