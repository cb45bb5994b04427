/**
 * Runs what is submitted, so much at once; of one key one after the other and in order, unless keys do not matter. What
 * waits for its key may be run together, in its order, in one turn.
 */
export interface SchedulerOptions<T> {
  /** Turns at once. */
  limit: number
  byKey: boolean
  /** At most so many of one key in one turn, … */
  most: number
  /** … of those that may have one with others. */
  joins(one: T): boolean
  /** Must not reject: what a failure means is decided inside it. Never called with none. */
  run(these: readonly T[]): Promise<void>
  /** Told after each turn, when what could begin in its place has begun. */
  freed?(): void
}

export class Scheduler<T> {
  readonly #options: SchedulerOptions<T>
  /** Keys whose turn it is, first come first served. */
  #ready: Turn<T>[] = []
  #readyHead = 0
  /** For each key that runs or is ready. */
  readonly #turns = new Map<string, Turn<T>>()
  #running = 0

  constructor(options: SchedulerOptions<T>) {
    this.#options = options
  }

  get running(): number {
    return this.#running
  }

  /** Turns that could begin if there were a place. */
  get waiting(): number {
    return this.#ready.length - this.#readyHead
  }

  submit(key: string, one: T): void {
    const turn = this.#options.byKey ? this.#turns.get(key) : undefined
    if (turn) turn.queue.push(one)
    else {
      const fresh = { key, queue: [one] }
      if (this.#options.byKey) this.#turns.set(key, fresh)
      this.#ready.push(fresh)
    }
    this.#pump()
  }

  #pump(): void {
    const { limit, run } = this.#options
    while (this.#running < limit) {
      const turn = this.#ready[this.#readyHead]
      if (!turn) break
      this.#readyHead++
      if (this.#readyHead > 1_024) {
        this.#ready = this.#ready.slice(this.#readyHead)
        this.#readyHead = 0
      }
      this.#running++
      void run(this.#next(turn)).finally(() => this.#finished(turn))
    }
  }

  /** Takes what comes next from what waits for its key. */
  #next({ queue }: Turn<T>): T[] {
    const { most, joins } = this.#options
    const alone = queue.findIndex((one, at) => at >= most || !joins(one))
    return queue.splice(0, alone < 0 ? queue.length : Math.max(alone, 1))
  }

  #finished(turn: Turn<T>): void {
    this.#running--
    if (turn.queue.length > 0) this.#ready.push(turn)
    else if (this.#options.byKey) this.#turns.delete(turn.key)
    this.#pump()
    this.#options.freed?.()
  }
}

interface Turn<T> {
  key: string
  /** What has not begun, in order. */
  queue: T[]
}
