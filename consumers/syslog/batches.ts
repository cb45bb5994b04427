/** One batch at a time: what comes while one is on its way goes with the next. */
export interface Batches<T> {
  /** Resolves when a batch with the item has been delivered; rejects with what kept it from that. */
  add(item: T): Promise<void>
}

export function createBatches<T>(deliver: (items: readonly T[]) => Promise<void>, most: number): Batches<T> {
  let waiting: { item: T; settle: PromiseWithResolvers<void> }[] = []
  let busy = false

  async function work(): Promise<void> {
    busy = true
    while (waiting.length > 0) {
      const batch = waiting.slice(0, most)
      waiting = waiting.slice(most)
      try {
        await deliver(batch.map(({ item }) => item))
        for (const { settle } of batch) settle.resolve()
      } catch (thrown) {
        for (const { settle } of batch) settle.reject(thrown)
      }
    }
    busy = false
  }

  return {
    add(item) {
      const settle = Promise.withResolvers<void>()
      waiting.push({ item, settle })
      if (!busy) void work()
      return settle.promise
    },
  }
}
