/** A subscription without a group: every partition of its topics, and nothing is committed. */
import { RaylogError } from '../../schemas/errors.ts'
import type { Position, SubscribeOptions, Subscriber, Subscription } from '../log.ts'
import { isPassing } from './faults.ts'
import type { Offsets } from './offsets.ts'
import { bare, createReader, nameOf, type ReaderOptions } from './reader.ts'

/** How often topics are asked whether they have grown, ms. */
const growthMs = 10_000
/** Time for the subscriber to finish when it is closed, ms. */
const revokeMs = 60_000

/** @throws RaylogError not-found */
export async function openTail(
  options: SubscribeOptions,
  subscriber: Subscriber,
  common: Omit<ReaderOptions, 'subscriber' | 'maxRecords' | 'died'> & { maxRecords: number },
): Promise<Subscription> {
  const { wire, offsets, clock, logger } = common
  const ended = new AbortController()
  const owned = new Map<string, Position>()
  const reader = createReader({
    ...common,
    subscriber,
    died(error) {
      ended.abort()
      subscriber.failed?.(error)
    },
  })

  for (const position of await startOf(options, offsets)) owned.set(nameOf(position), position)
  const first = [...owned.values()]
  // Never before the caller of subscribe() has its subscription in hand.
  setImmediate(() => void reader.assign(first))

  /** Partitions that are added later are read from their beginning. */
  async function grow(): Promise<void> {
    while (!ended.signal.aborted) {
      try {
        await clock.sleep(growthMs, ended.signal)
        const counts = await Promise.all(options.topics.map(topic => wire.partitionsOf(topic)))
        const known = (topic: string) => [...owned.values()].filter(one => one.topic === topic).length
        const grown = options.topics.filter((topic, index) => (counts[index] ?? 0) > known(topic))
        for (const topic of grown) {
          const fresh = (await offsets.lows(topic)).filter(position => !owned.has(nameOf(position)))
          for (const position of fresh) owned.set(nameOf(position), position)
          await reader.assign(fresh)
        }
      } catch (error) {
        if (!ended.signal.aborted && !wire.isClosed() && isPassing(error))
          logger.debug({ err: error }, 'topics are not asked; later again')
        else if (!(error instanceof RaylogError) || error.code === 'stopping') return
      }
    }
  }
  void grow()

  return {
    pause: reader.pause,
    resume: reader.resume,
    commit: () =>
      Promise.reject(new RaylogError('bad-request', 'a subscription without a group has nothing to commit')),
    assignment: () => [...owned.values()].map(bare),
    async close() {
      ended.abort()
      if (!reader.isInsideCall()) await reader.revoke([...owned.values()].map(bare), revokeMs)
      reader.end()
    },
  }
}

async function startOf({ topics, from, positions }: SubscribeOptions, offsets: Offsets): Promise<Position[]> {
  const bounds = await Promise.all(topics.map(topic => offsets.bounds(topic)))
  return topics.flatMap((topic, index) =>
    (bounds[index] ?? []).map(({ partition, low, high }) => {
      const asked = positions?.find(position => position.topic === topic && position.partition === partition)
      return { topic, partition, offset: asked?.offset ?? (from === 'earliest' ? low : high) }
    }),
  )
}
