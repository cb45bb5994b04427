/**
 * One member of a consumer group.
 *
 *   joining ─▶ reading ⇄ rebalancing (drain, commit, join again) ─▶ closed
 *
 * Handing records over takes no time (the subscriber queues them and pauses the partition when it has enough), so hearts
 * beat while inference runs. Before each join the subscriber may finish and commit; after it, commits are made only for
 * partitions that are still owned, so never in a generation that did not read them.
 */
import { type Consumer, type EachBatchPayload, type Kafka, PartitionAssigners } from 'kafkajs'
import type { Logger } from 'pino'
import type { Clock } from '../../monitoring/clock.ts'
import type { Position, Subscriber, Subscription, TopicPartition } from '../log.ts'
import { beforeEachJoin } from './guards.ts'
import { toLogRecord } from './records.ts'

export interface GroupSettings {
  sessionTimeoutMs: number
  heartbeatMs: number
  /** Time that a member may take to drain before a rebalance goes on without it. */
  rebalanceTimeoutMs: number
}

export interface GroupOptions {
  kafka: Kafka
  group: string
  topics: readonly string[]
  from: 'earliest' | 'latest'
  maxRecords: number
  settings: GroupSettings
  clock: Clock
  logger: Logger
}

const maxWaitMs = 250
const nameOf = ({ topic, partition }: TopicPartition) => `${topic}/${partition}`

export async function openGroup(options: GroupOptions, subscriber: Subscriber): Promise<Subscription> {
  const { kafka, settings, clock, logger } = options
  const owned = new Map<string, TopicPartition>()
  const paused = new Set<string>()
  let consumer: Consumer
  let closed = false
  /** Calls to the subscriber never overlap. */
  let turn: Promise<void> = Promise.resolve()

  function inTurn(act: () => Promise<void> | void): Promise<void> {
    const next = turn.then(act)
    turn = next.catch(() => undefined)
    return next
  }

  /** Everything that is owned is given back: the subscriber finishes and commits, or the time for it is over. */
  async function letGo(): Promise<void> {
    if (owned.size === 0) return
    const partitions = [...owned.values()]
    const timer = new AbortController()
    const late = clock.sleep(settings.rebalanceTimeoutMs * 0.8, timer.signal).catch(() => undefined)
    await Promise.race([inTurn(() => subscriber.revoked?.(partitions)), late])
    timer.abort()
    owned.clear()
    paused.clear()
  }

  async function eachBatch({ batch, resolveOffset, heartbeat, isRunning, isStale }: EachBatchPayload): Promise<void> {
    const name = nameOf(batch)
    for (let at = 0; at < batch.messages.length; at += options.maxRecords) {
      if (!isRunning() || isStale() || paused.has(name) || !owned.has(name)) return
      const chunk = batch.messages.slice(at, at + options.maxRecords)
      await inTurn(() => subscriber.records(chunk.map(message => toLogRecord(batch.topic, batch.partition, message))))
      const last = chunk.at(-1)
      if (last) resolveOffset(last.offset)
      await heartbeat()
    }
  }

  async function start(): Promise<void> {
    const fresh = kafka.consumer({
      groupId: options.group,
      sessionTimeout: settings.sessionTimeoutMs,
      heartbeatInterval: settings.heartbeatMs,
      rebalanceTimeout: settings.rebalanceTimeoutMs,
      maxWaitTimeInMs: maxWaitMs,
      allowAutoTopicCreation: false,
      partitionAssigners: [beforeEachJoin(PartitionAssigners.roundRobin, letGo)],
      retry: { restartOnFailure: async () => !closed },
    })
    consumer = fresh
    fresh.on(fresh.events.GROUP_JOIN, ({ payload }) => {
      const assigned = Object.entries(payload.memberAssignment).flatMap(([topic, partitions]) =>
        partitions.map((partition: number) => ({ topic, partition })),
      )
      for (const partition of assigned) owned.set(nameOf(partition), partition)
      void inTurn(() => subscriber.assigned?.(assigned))
    })
    fresh.on(fresh.events.CRASH, ({ payload }) => {
      if (payload.restart || closed) return
      logger.warn({ err: payload.error, group: options.group }, 'the consumer ended; starting another')
      void restart()
    })
    await fresh.connect()
    await fresh.subscribe({ topics: [...options.topics], fromBeginning: options.from === 'earliest' })
    await fresh.run({ autoCommit: false, eachBatchAutoResolve: false, partitionsConsumedConcurrently: 1, eachBatch })
  }

  /** After an error that kafkajs does not retry: what was read is read again by a new member. */
  async function restart(): Promise<void> {
    for (let attempt = 0; !closed; attempt++) {
      try {
        await letGo()
        await consumer.disconnect()
        return await start()
      } catch (error) {
        logger.warn({ err: error, group: options.group }, 'the consumer does not start; trying again')
        await clock.sleep(Math.min(10_000, 250 * 2 ** attempt))
      }
    }
  }

  await start()

  return {
    pause(partitions) {
      for (const partition of partitions) paused.add(nameOf(partition))
      consumer.pause(partitions.map(({ topic, partition }) => ({ topic, partitions: [partition] })))
    },
    resume(partitions) {
      for (const partition of partitions) paused.delete(nameOf(partition))
      consumer.resume(partitions.map(({ topic, partition }) => ({ topic, partitions: [partition] })))
    },
    async commit(next) {
      const mine = next.filter(position => owned.has(nameOf(position)))
      if (mine.length === 0) return
      await consumer.commitOffsets(mine.map(toCommit))
    },
    assignment: () => [...owned.values()],
    async close() {
      if (closed) return
      closed = true
      await letGo()
      await consumer.disconnect()
    },
  }
}

const toCommit = ({ topic, partition, offset }: Position) => ({ topic, partition, offset: String(offset) })
