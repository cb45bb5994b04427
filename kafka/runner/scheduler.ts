/** Runs tasks, so many at once; of one key one at a time and in order, unless keys do not matter. */
export class Scheduler {
  readonly #limit: number
  readonly #byKey: boolean
  /** Tasks that may start, first come first served. */
  #ready: Task[] = []
  #readyHead = 0
  /** For each busy key: the tasks behind the one that runs or is ready. */
  readonly #behind = new Map<string, Task[]>()
  #running = 0

  constructor(options: { limit: number; byKey: boolean }) {
    this.#limit = options.limit
    this.#byKey = options.byKey
  }

  get running(): number {
    return this.#running
  }

  /** Tasks that could run if there were a place. */
  get waiting(): number {
    return this.#ready.length - this.#readyHead
  }

  /** `run` must not reject: what a failure means is decided inside it. */
  submit(key: string, run: () => Promise<void>): void {
    const task = { key, run }
    const behind = this.#behind.get(key)
    if (this.#byKey && behind) behind.push(task)
    else {
      if (this.#byKey) this.#behind.set(key, [])
      this.#ready.push(task)
    }
    this.#pump()
  }

  #pump(): void {
    while (this.#running < this.#limit) {
      const task = this.#ready[this.#readyHead]
      if (!task) break
      this.#readyHead++
      if (this.#readyHead > 1_024) {
        this.#ready = this.#ready.slice(this.#readyHead)
        this.#readyHead = 0
      }
      this.#running++
      void task.run().finally(() => this.#finished(task))
    }
  }

  #finished(task: Task): void {
    this.#running--
    if (this.#byKey) {
      const following = this.#behind.get(task.key)?.shift()
      if (following) this.#ready.push(following)
      else this.#behind.delete(task.key)
    }
    this.#pump()
  }
}

interface Task {
  key: string
  run: () => Promise<void>
}
