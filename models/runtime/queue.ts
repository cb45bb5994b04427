/**
 * What waits for a worker. Earliest due first, where due is arrival plus an allowance by priority: stat goes ahead of
 * urgent and urgent ahead of routine, but only of what arrived within the allowance, so that nothing waits for ever.
 *
 * Background work (replays) stands apart: it is never in a batch with live work, which would have to wait for it, and is
 * taken by its own methods.
 */
import type { Priority } from '../../schemas/topics.ts'
import type { ModelOutput } from '../port.ts'
import type { Work } from './protocol.ts'

/** How long work of a priority lets later, more urgent work go first, ms. */
const allowanceMs: Record<Priority, number> = { stat: 0, urgent: 10_000, routine: 60_000 }
const priorities: readonly Priority[] = ['stat', 'urgent', 'routine']
const none = () => ({
  stat: new Set<Item>(),
  urgent: new Set<Item>(),
  routine: new Set<Item>(),
  background: new Set<Item>(),
})

export interface Item {
  readonly model: number
  readonly work: Work
  readonly priority: Priority | 'background'
  /** ms since the epoch, precise. */
  readonly arrivedAt: number
  /** Workers that ended while they had it. */
  deaths: number
  /** Answered, failed or no longer wanted. */
  settled: boolean
  resolve(output: ModelOutput): void
  reject(error: unknown): void
}

/** The items of one model; a Set keeps their order and removes from anywhere. */
type Lanes = Record<Priority | 'background', Set<Item>>

const due = (item: Item) => (item.priority === 'background' ? Infinity : item.arrivedAt + allowanceMs[item.priority])

export interface Waiting {
  model: number
  count: number
  /** Arrival of the item that has waited longest. */
  oldestAt: number
  stat: boolean
}

export class WorkQueue {
  readonly #models = new Map<number, Lanes>()

  add(item: Item): void {
    this.#lanes(item.model)[item.priority].add(item)
  }

  /** Puts items back before all others of their priority, in their order. */
  putBack(items: readonly Item[]): void {
    for (const item of [...items].reverse()) {
      const lanes = this.#lanes(item.model)
      lanes[item.priority] = new Set([item, ...lanes[item.priority]])
    }
  }

  /** @returns whether it was there */
  remove(item: Item): boolean {
    return this.#models.get(item.model)?.[item.priority].delete(item) ?? false
  }

  /** Live work for a model. */
  count(model: number): number {
    const lanes = this.#models.get(model)
    return lanes ? priorities.reduce((sum, priority) => sum + lanes[priority].size, 0) : 0
  }

  get size(): number {
    let sum = 0
    for (const [model, lanes] of this.#models) sum += this.count(model) + lanes.background.size
    return sum
  }

  /** Models that have live work, the one whose work is due first at the front. */
  waiting(): Waiting[] {
    const found: (Waiting & { due: number })[] = []
    for (const [model, lanes] of this.#models) {
      const heads = priorities.flatMap(priority => first(lanes[priority]))
      if (heads.length === 0) continue
      found.push({
        model,
        count: this.count(model),
        oldestAt: Math.min(...heads.map(item => item.arrivedAt)),
        stat: lanes.stat.size > 0,
        due: Math.min(...heads.map(due)),
      })
    }
    return found.sort((a, b) => a.due - b.due)
  }

  /** Takes up to `most` live items of a model, earliest due first. */
  take(model: number, most: number): Item[] {
    const lanes = this.#lanes(model)
    const taken: Item[] = []
    while (taken.length < most) {
      const heads = priorities.flatMap(priority => first(lanes[priority]))
      const [head] = heads.sort((a, b) => due(a) - due(b))
      if (!head) break
      lanes[head.priority].delete(head)
      taken.push(head)
    }
    return taken
  }

  /** Models that have background work, the one whose work has waited longest at the front. */
  waitingBackground(): Waiting[] {
    const found = [...this.#models].flatMap(([model, { background }]) =>
      first(background).map(({ arrivedAt }) => ({ model, count: background.size, oldestAt: arrivedAt, stat: false })),
    )
    return found.sort((a, b) => a.oldestAt - b.oldestAt)
  }

  takeBackground(model: number, most: number): Item[] {
    const { background } = this.#lanes(model)
    const taken: Item[] = []
    for (const item of background) {
      if (taken.length >= most) break
      background.delete(item)
      taken.push(item)
    }
    return taken
  }

  #lanes(model: number): Lanes {
    const lanes = this.#models.get(model) ?? none()
    this.#models.set(model, lanes)
    return lanes
  }
}

function first(lane: Set<Item>): Item[] {
  for (const item of lane) return [item]
  return []
}
