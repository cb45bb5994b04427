/**
 * Whether all that a replay said is in the documents. Counts alone do not tell: an image that was sent twice is predicted
 * twice, and is one document.
 */
import { LRUCache } from 'lru-cache'
import type { EventLog } from '../../kafka/log.ts'
import type { Clock } from '../../monitoring/clock.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { topics } from '../../schemas/topics.ts'

/** A comparison is not kept waiting for a log that is away, ms. */
const patienceMs = 2_000
/** Given as the reason: without one a DOMException is made each time, with its stack. */
const said = 'said'
/** The stage that writes what replays say into the documents. */
const reader = 'persist'

/**
 * @returns for a replay that has ended: whether its reader has come to where the log ended when that was first asked. That
 * stays so, and is not asked again; what the log cannot say is not so yet.
 */
export function createSettled(
  log: Pick<EventLog, 'topics' | 'lag'>,
  clock: Clock,
): (replay: string) => Promise<boolean> {
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

  async function soon(is: Promise<boolean>): Promise<boolean> {
    const over = new AbortController()
    const late = clock.sleep(patienceMs, over.signal).then(
      () => false,
      () => false,
    )
    try {
      return await Promise.race([is, late])
    } finally {
      over.abort(said)
    }
  }

  return async replay => {
    if (settled.get(replay)) return true
    try {
      const is = await soon(isRead(replay))
      if (is) settled.set(replay, true)
      return is
    } catch (error) {
      // The comparison is in the documents, and is read there while the log is away.
      if (error instanceof RaylogError) return false
      throw error
    }
  }
}
