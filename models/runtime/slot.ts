/**
 * A place for one worker process: starts it, watches it, and starts another when it ends.
 *
 *   starting ──opened──▶ ready ──▶ (ended, hung or killed) ──▶ pausing ──▶ starting …
 *       └───────────────(ended, too slow)──────────────────────▲
 */
import type { Clock } from '../../monitoring/clock.ts'
import type { ErrorCode } from '../../schemas/errors.ts'
import { startWorker, type WorkerProcess } from './process.ts'
import type { DoneMessage, Opened, OpenMessage } from './protocol.ts'
import type { Item } from './queue.ts'

/** Loading models, and on a GPU the driver, may take two minutes, after the copies that workers share, which may take one. ms. */
const START_BUDGET_MS = 180_000
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 30_000
/** Said of a guard that is no longer needed; a constant, as in the scheduler. */
const lifted = new Error('lifted')

/** Images for one worker, in one message: see LoadMessage. */
export interface Load {
  id: number
  model: number
  items: readonly Item[]
  /** Its image was in a load whose worker ended; alone now, to see whether it was the cause. */
  suspect: boolean
  /** Of background work alone. */
  background: boolean
}

export interface Ended {
  /** The load that the worker was at; undefined if it had none. */
  at: Load | undefined
  /** Loads that it had not begun. */
  unbegun: Load[]
  code: Extract<ErrorCode, 'worker-died' | 'worker-timeout'>
  reason: string
  /** Whether it ended before it was ready. */
  early: boolean
}

export interface SlotOptions {
  open: Promise<OpenMessage>
  budgetMs: number
  clock: Clock
  /** @returns why the worker is of no use, if it is not */
  opened(models: readonly Opened[]): string | undefined
  done(load: Load, message: DoneMessage): void
  ended(ended: Ended): void
  /** It can take a load. */
  free(): void
}

export class Slot {
  readonly #options: SlotOptions
  readonly #closing = new AbortController()
  readonly #loads: Load[] = []
  #worker: WorkerProcess | undefined
  #ready = false
  /** Ends without a load answered between them. */
  #failures = 0
  #watch = new AbortController()
  /** Why we ended the worker, if it was us. */
  #cause: { code: Ended['code']; reason: string } | undefined
  #gone = Promise.withResolvers<void>()

  constructor(options: SlotOptions) {
    this.#options = options
    this.#start()
  }

  get ready(): boolean {
    return this.#ready
  }

  get pid(): number | undefined {
    return this.#worker?.pid
  }

  /** What it has, the first being under way. */
  get loads(): readonly Load[] {
    return this.#loads
  }

  send(load: Load): void {
    this.#loads.push(load)
    this.#worker?.send({ type: 'load', id: load.id, model: load.model, items: load.items.map(item => item.work) })
    if (this.#loads.length === 1) this.#guard(this.#options.budgetMs)
  }

  /** Ends the worker, after the load under way; kills it if that takes longer than `graceMs`. */
  async close(graceMs: number): Promise<void> {
    this.#closing.abort()
    this.#watch.abort(lifted)
    if (!this.#worker) return
    this.#worker.disconnect()
    const timer = setTimeout(() => this.#worker?.kill(), graceMs)
    await this.#gone.promise
    clearTimeout(timer)
  }

  #start(): void {
    this.#gone = Promise.withResolvers()
    this.#cause = undefined
    this.#worker = startWorker(this.#options.open, {
      opened: models => this.#opened(models),
      done: message => this.#done(message),
      ended: reason => this.#ended(reason),
    })
    this.#guard(START_BUDGET_MS)
  }

  #opened(models: readonly Opened[]): void {
    this.#watch.abort(lifted)
    const useless = this.#options.opened(models)
    if (useless !== undefined) {
      this.#kill('worker-died', useless)
      return
    }
    this.#ready = true
    this.#options.free()
  }

  #done(message: DoneMessage): void {
    const load = this.#loads.shift()
    if (load?.id !== message.id) {
      this.#kill('worker-died', 'the worker answered something else')
      return
    }
    this.#failures = 0
    this.#watch.abort(lifted)
    if (this.#loads.length > 0) this.#guard(this.#options.budgetMs)
    this.#options.done(load, message)
    this.#options.free()
  }

  #ended(reason: string): void {
    this.#watch.abort(lifted)
    const [at, ...unbegun] = this.#loads.splice(0)
    const early = !this.#ready
    const cause = this.#cause ?? { code: 'worker-died', reason }
    this.#ready = false
    this.#worker = undefined
    this.#failures += 1
    this.#gone.resolve()
    this.#options.ended({ at, unbegun, ...cause, early })
    void this.#restart()
  }

  /** At once after the first end, then with a pause that doubles: a broken library must not keep the machine busy. */
  async #restart(): Promise<void> {
    const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (this.#failures - 2))
    const { signal } = this.#closing
    if (this.#failures > 1) await this.#options.clock.sleep(pause, signal).catch(() => undefined)
    if (!signal.aborted) this.#start()
  }

  /** Kills the worker unless the guard is lifted within `ms`. */
  #guard(ms: number): void {
    const watch = new AbortController()
    this.#watch = watch
    const expire = async () => {
      await this.#options.clock.sleep(ms, watch.signal)
      // If it was this process that stood still, the answer is waiting to be read: let it be read first.
      await new Promise(resolve => setImmediate(resolve))
      if (!watch.signal.aborted) this.#kill('worker-timeout', `no answer within ${ms} ms`)
    }
    expire().catch(() => undefined)
  }

  #kill(code: Ended['code'], reason: string): void {
    this.#cause = { code, reason }
    this.#worker?.kill()
  }
}
