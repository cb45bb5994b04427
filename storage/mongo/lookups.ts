/**
 * Look-ups by id in one collection, several in one query: whatever is asked for while a query is under way goes into the
 * next. What was written before a look-up was asked for is seen by it, since its query begins after that.
 */

/** Ids of one query: a call is never split here. */
const mostIds = 1000

interface Call<Found> {
  readonly ids: readonly string[]
  resolve(found: Map<string, Found>): void
  reject(error: unknown): void
}

export interface Lookups<Found> {
  /** Those of the ids that there are, by id; maybe others too, which other callers asked for. */
  find(ids: readonly string[]): Promise<ReadonlyMap<string, Found>>
  /** Queries that were sent. */
  queries(): number
}

/** @param query documents of these ids, each once, in any order */
export function createLookups<Found extends { _id: string }>(
  query: (ids: readonly string[]) => Promise<readonly Found[]>,
): Lookups<Found> {
  let waiting: Call<Found>[] = []
  let running = false
  let sent = 0

  function next(): Call<Found>[] {
    let ids = 0
    let count = 0
    for (const call of waiting) {
      if (count > 0 && ids + call.ids.length > mostIds) break
      ids += call.ids.length
      count += 1
    }
    return waiting.splice(0, count)
  }

  async function run(): Promise<void> {
    running = true
    await Promise.resolve() // calls of the same moment share the first query too
    while (waiting.length > 0) {
      const calls = next()
      sent += 1
      try {
        const found = await query([...new Set(calls.flatMap(({ ids }) => ids))])
        const byId = new Map(found.map(one => [one._id, one]))
        for (const { resolve } of calls) resolve(byId)
      } catch (error) {
        // All that waits behind it would wait out the same outage, each for a deadline of its own.
        const behind = waiting
        waiting = []
        for (const { reject } of [...calls, ...behind]) reject(error)
      }
    }
    running = false
  }

  return {
    find: ids =>
      new Promise((resolve, reject) => {
        waiting.push({ ids, resolve, reject })
        if (!running) void run()
      }),
    queries: () => sent,
  }
}
