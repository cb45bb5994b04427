/** Hears the tail once for all clients, and knows up to where each partition has been pushed. */
import type { Logger } from 'pino'
import type { EventLog } from '../../kafka/log.ts'
import type { Tail } from '../../kafka/ports.ts'
import { toRaylogError } from '../../schemas/errors.ts'
import { type LiveItem, type LiveTopic, partitionName } from './items.ts'

export interface Follower {
  offer(item: LiveItem): void
}

export interface Hub {
  /** For each partition the offset that comes next; everything before it has been pushed. A live view. */
  readonly next: ReadonlyMap<string, number>
  /** Events for everyone, pushed since the start, by topic. */
  readonly heard: ReadonlyMap<string, number>
  /** Clients that are not in rooms yet are offered every item, after the rooms have had it. */
  follow(follower: Follower): void
  unfollow(follower: Follower): void
  close(): void
}

export interface HubOptions {
  log: EventLog
  tail: Tail
  topics: readonly LiveTopic[]
  logger: Logger
  broadcast(item: LiveItem): void
}

/** Begins where the log ends now: nobody can have joined before. The caller closes it. */
export async function openHub({ log, tail, topics, logger, broadcast }: HubOptions): Promise<Hub> {
  const next = new Map<string, number>()
  const heard = new Map<string, number>()
  const followers = new Set<Follower>()

  function hear(item: LiveItem): void {
    const { topic, offset } = item.at
    // Appended before this hub was open, or handed over twice.
    if (offset < (next.get(item.partition) ?? 0)) return
    next.set(item.partition, offset + 1)
    if (item.rooms.includes('all')) heard.set(topic, (heard.get(topic) ?? 0) + 1)
    try {
      broadcast(item)
      for (const follower of [...followers]) follower.offer(item)
    } catch (error) {
      logger.error({ code: toRaylogError(error).code, topic, offset }, 'an event was not pushed')
    }
  }

  const stops = topics.map(topic => topic.listen(tail, hear))
  const names = new Set(topics.map(topic => topic.name))
  try {
    for (const { name, bounds } of await log.topics()) {
      if (!names.has(name)) continue
      for (const { partition, high } of bounds) {
        const key = partitionName({ topic: name, partition })
        next.set(key, Math.max(next.get(key) ?? 0, high))
      }
    }
  } catch (error) {
    for (const stop of stops) stop()
    throw error
  }
  return {
    next,
    heard,
    follow: follower => followers.add(follower),
    unfollow: follower => followers.delete(follower),
    close() {
      for (const stop of stops) stop()
      followers.clear()
    },
  }
}
