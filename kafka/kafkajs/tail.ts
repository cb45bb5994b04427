/** A subscription without a group: every partition, from given positions on, by plain fetches. Nothing is committed. */
import type { Logger } from 'pino'
import type { Clock } from '../../monitoring/clock.ts'
import type { Position, Subscriber, Subscription, TopicPartition } from '../log.ts'
import type { Fetched, Fetcher } from './fetcher.ts'

export interface TailOptions {
  fetcher: Fetcher
  start: readonly Position[]
  /** The oldest kept record of each partition of a topic. */
  lowOf: (topic: string) => Promise<Position[]>
  maxRecords: number
  clock: Clock
  logger: Logger
}

const limits = { maxWaitMs: 250, maxBytes: 1_000_000 }
const backoffMs = 200
const nameOf = ({ topic, partition }: TopicPartition) => `${topic}/${partition}`

export function openTail(options: TailOptions, subscriber: Subscriber): Subscription {
  const { fetcher, clock, logger } = options
  const next = new Map(options.start.map(position => [nameOf(position), position]))
  const paused = new Set<string>()
  const stop = new AbortController()
  let turn: Promise<void> = Promise.resolve()

  async function deliver({ records, next: after }: Fetched): Promise<void> {
    for (const position of after) {
      const mine = records.filter(record => nameOf(record) === nameOf(position))
      for (let at = 0; at < mine.length; at += options.maxRecords) {
        if (stop.signal.aborted || paused.has(nameOf(position))) return
        const chunk = mine.slice(at, at + options.maxRecords)
        await subscriber.records(chunk)
        const last = chunk.at(-1)
        if (last) next.set(nameOf(position), { ...position, offset: last.offset + 1 })
      }
      if (!paused.has(nameOf(position))) next.set(nameOf(position), position)
    }
  }

  /** Retention may have passed a position: go on with the oldest record that is kept. */
  async function catchUp(error: unknown): Promise<void> {
    if (!(error instanceof Error) || !('type' in error) || error.type !== 'OFFSET_OUT_OF_RANGE') return
    for (const topic of new Set([...next.values()].map(position => position.topic))) {
      for (const low of await options.lowOf(topic)) {
        const position = next.get(nameOf(low))
        if (position && position.offset < low.offset) next.set(nameOf(low), low)
      }
    }
  }

  async function loop(): Promise<void> {
    while (!stop.signal.aborted) {
      try {
        const active = [...next.values()].filter(position => !paused.has(nameOf(position)))
        if (active.length === 0) await clock.sleep(limits.maxWaitMs, stop.signal)
        const leaders = await fetcher.leaders(active)
        await Promise.all(
          [...leaders].map(async ([leader, positions]) => {
            const fetched = await fetcher.fetch(leader, positions, limits)
            turn = turn.then(() => deliver(fetched))
            await turn
          }),
        )
      } catch (error) {
        if (stop.signal.aborted) return
        logger.debug({ err: error }, 'a fetch failed; trying again')
        turn = Promise.resolve()
        try {
          await catchUp(error)
          await clock.sleep(backoffMs, stop.signal)
          await fetcher.refresh()
        } catch (again) {
          logger.debug({ err: again }, 'the brokers do not answer; trying again')
        }
      }
    }
  }

  const running = loop()

  return {
    pause: partitions => {
      for (const partition of partitions) paused.add(nameOf(partition))
    },
    resume: partitions => {
      for (const partition of partitions) paused.delete(nameOf(partition))
    },
    commit: () => Promise.resolve(),
    assignment: () => [...next.values()].map(({ topic, partition }) => ({ topic, partition })),
    async close() {
      stop.abort(new Error('closed'))
      await fetcher.close()
      await running
    },
  }
}
