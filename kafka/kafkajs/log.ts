/** EventLog on Apache Kafka, through kafkajs. The only folder that knows kafkajs. */
import { Kafka, type KafkaConfig, logLevel } from 'kafkajs'
import type { Logger } from 'pino'
import type { Clock } from '../../monitoring/clock.ts'
import { RaylogError } from '../../schemas/errors.ts'
import type { EventLog, Lag, Position, SubscribeOptions, Subscriber } from '../log.ts'
import { createAppender } from './appender.ts'
import { type Fetcher, openFetcher } from './fetcher.ts'
import { type GroupSettings, openGroup } from './group.ts'
import { guardKafkajs } from './guards.ts'
import { openSchemas, type SchemaSettings } from './schemas.ts'
import { openTail } from './tail.ts'
import { createTopics } from './topics.ts'

export interface KafkaSettings extends GroupSettings {
  brokers: string[]
  clientId: string
  ssl: NonNullable<KafkaConfig['ssl']>
  sasl: KafkaConfig['sasl'] | null
  replication: number
  maxRecordBytes: number
  registry: SchemaSettings
}

const defaultMaxRecords = 500

/** @throws RaylogError log-unavailable when no broker answers */
export async function openKafkaLog(options: {
  settings: KafkaSettings
  clock: Clock
  logger: Logger
}): Promise<EventLog> {
  guardKafkajs()
  const { settings, clock, logger } = options
  const kafka = new Kafka({
    brokers: settings.brokers,
    clientId: settings.clientId,
    ssl: settings.ssl,
    ...(settings.sasl ? { sasl: settings.sasl } : {}),
    retry: { initialRetryTime: 100, maxRetryTime: 2_000, retries: 8 },
    logLevel: logLevel.WARN,
    logCreator:
      () =>
      ({ namespace, log }) =>
        logger.debug({ kafkajs: namespace, detail: log }, log.message),
  })
  const admin = kafka.admin()
  const producer = kafka.producer({
    idempotent: true,
    maxInFlightRequests: 1,
    allowAutoTopicCreation: false,
    // The appender has chosen.
    createPartitioner:
      () =>
      ({ message }) =>
        message.partition ?? 0,
  })
  await unavailableIfFailed(() => Promise.all([admin.connect(), producer.connect()]))
  const topics = createTopics(admin, settings, clock)
  const schemas = openSchemas(settings.registry)
  const appender = createAppender({
    producer,
    partitionsOf: topics.partitionsOf,
    clock,
    maxRecordBytes: settings.maxRecordBytes,
  })
  const open = new Set<{ close(): Promise<void> }>()
  let reader: Promise<Fetcher> | undefined

  async function startOf({ topics: names, from, positions }: SubscribeOptions): Promise<Position[]> {
    const bounds = await Promise.all(names.map(topic => topics.bounds(topic)))
    return names.flatMap((topic, index) =>
      (bounds[index] ?? []).map(({ partition, low, high }) => {
        const asked = positions?.find(position => position.topic === topic && position.partition === partition)
        const offset = asked ? Math.max(asked.offset, low) : from === 'earliest' ? low : high
        return { topic, partition, offset }
      }),
    )
  }

  async function subscribe(asked: SubscribeOptions, subscriber: Subscriber) {
    const maxRecords = asked.maxRecords ?? defaultMaxRecords
    const { group } = asked
    const subscription = group
      ? await openGroup(
          { kafka, group, topics: asked.topics, from: asked.from, maxRecords, settings, clock, logger },
          subscriber,
        )
      : openTail(
          {
            fetcher: await openFetcher(kafka, asked.topics),
            start: await startOf(asked),
            lowOf: lowOf,
            maxRecords,
            clock,
            logger,
          },
          subscriber,
        )
    open.add(subscription)
    return {
      ...subscription,
      close: () => {
        open.delete(subscription)
        return subscription.close()
      },
    }
  }

  const lowOf = async (topic: string): Promise<Position[]> =>
    (await topics.bounds(topic)).map(({ partition, low }) => ({ topic, partition, offset: low }))

  return {
    ensureTopics: specs => unavailableIfFailed(() => topics.ensure(specs)),
    topics: () => unavailableIfFailed(() => topics.list()),
    append: records => appender.append(records),
    subscribe: (asked, subscriber) => unavailableIfFailed(() => subscribe(asked, subscriber)),
    read: (from, max) =>
      unavailableIfFailed(async () => {
        const bound = (await topics.bounds(from.topic)).find(({ partition }) => partition === from.partition)
        if (!bound || from.offset >= bound.high) return []
        reader ??= openFetcher(kafka, await topics.names())
        const fetcher = await reader
        const start = { ...from, offset: Math.max(from.offset, bound.low) }
        const [leader] = await fetcher.leaders([start])
        if (!leader) return []
        const { records } = await fetcher.fetch(leader[0], [start], { maxWaitMs: 1_000, maxBytes: 4_000_000 })
        return records.slice(0, max)
      }),
    offsetsAt: (topic, time) =>
      unavailableIfFailed(async () =>
        (await admin.fetchTopicOffsetsByTimestamp(topic, time)).map(({ partition, offset }) => ({
          topic,
          partition,
          offset: Number(offset),
        })),
      ),
    lag: group => unavailableIfFailed(() => lagOf(group)),
    groups: () =>
      unavailableIfFailed(async () => (await admin.listGroups()).groups.map(({ groupId }) => groupId).sort()),
    async seek(group, next) {
      for (const topic of new Set(next.map(position => position.topic))) {
        const partitions = next
          .filter(position => position.topic === topic)
          .map(({ partition, offset }) => ({ partition, offset: String(offset) }))
        await admin.setOffsets({ groupId: group, topic, partitions })
      }
    },
    schemaId: (subject, schema) => schemas.idOf(subject, schema),
    schemaText: id => schemas.textOf(id),
    check: () => unavailableIfFailed(async () => void (await admin.describeCluster())),
    async close() {
      await Promise.all([...open].map(subscription => subscription.close()))
      await appender.close()
      await (await reader)?.close()
      await Promise.all([producer.disconnect(), admin.disconnect()])
    },
  }

  /** Offsets that the group has not committed count from the oldest kept record. */
  async function lagOf(group: string): Promise<Lag[]> {
    const committed = await admin.fetchOffsets({ groupId: group })
    const lags = await Promise.all(
      committed.map(async ({ topic, partitions }) => {
        const bounds = await topics.bounds(topic)
        return bounds.map(({ partition, low, high }) => {
          const offset = Number(partitions.find(one => one.partition === partition)?.offset ?? -1)
          const from = Math.max(low, offset)
          return { topic, partition, committed: from, high, lag: Math.max(0, high - from) }
        })
      }),
    )
    return lags.flat()
  }
}

/** What kafkajs throws after its own retries means: wait for the brokers. */
async function unavailableIfFailed<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (cause) {
    if (cause instanceof RaylogError) throw cause
    throw new RaylogError('log-unavailable', cause instanceof Error ? cause.message : String(cause), { cause })
  }
}
