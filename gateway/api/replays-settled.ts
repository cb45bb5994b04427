/**
 * Whether all that a replay said is in the documents. Counts alone do not tell: an image that was sent twice is predicted
 * twice, and is one document.
 */
import { LRUCache } from 'lru-cache'
import type { EventLog } from '../../kafka/log.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { topics } from '../../schemas/topics.ts'

/** The stage that writes what replays say into the documents. */
const reader = 'persist'

/**
 * @returns for a replay that has ended: whether its reader has come to where the log ended when that was first asked. That
 * stays so, and is not asked again; what the log cannot say is not so yet.
 */
export function createSettled(log: Pick<EventLog, 'topics' | 'lag'>): (replay: string) => Promise<boolean> {
  const ends = new LRUCache<string, { partition: number; high: number }[]>({ max: 1_000 })
  const settled = new LRUCache<string, true>({ max: 10_000 })
  const topic = topics.predictions.name

  async function endOf(replay: string) {
    const known = ends.get(replay)
    if (known) return known
    const { bounds = [] } = (await log.topics()).find(({ name }) => name === topic) ?? {}
    const end = bounds.filter(({ low, high }) => low < high)
    ends.set(replay, end)
    return end
  }

  async function isRead(replay: string): Promise<boolean> {
    const end = await endOf(replay)
    const read = new Map<number, number>()
    for (const lag of await log.lag(reader)) if (lag.topic === topic) read.set(lag.partition, lag.committed)
    return end.every(({ partition, high }) => (read.get(partition) ?? 0) >= high)
  }

  return async replay => {
    if (settled.get(replay)) return true
    try {
      const is = await isRead(replay)
      if (is) settled.set(replay, true)
      return is
    } catch (error) {
      // The comparison is in the documents, and is read there while the log is away.
      if (error instanceof RaylogError) return false
      throw error
    }
  }
}
