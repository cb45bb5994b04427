/** EventLog on Apache Kafka. kafkajs gives the wire protocol; this folder is the only one that knows it. */
import type { KafkaConfig } from 'kafkajs'
import type { Logger } from 'pino'
import type { Clock } from '../../monitoring/clock.ts'
import { RaylogError } from '../../schemas/errors.ts'
import type {
  EventLog,
  LogRecord,
  Position,
  SubscribeOptions,
  Subscriber,
  Subscription,
  TopicChange,
  TopicSpec,
} from '../log.ts'
import { createAppend } from './appender.ts'
import { patiently, toLogError, typeOf } from './faults.ts'
import { fetchFrom } from './fetch.ts'
import { openGroup } from './group.ts'
import { guardedKafkajs } from './guards.ts'
import { createLog } from './link.ts'
import type { GroupSettings } from './member.ts'
import { createOffsetStore } from './offset-store.ts'
import { createOffsets } from './offsets.ts'
import { createProducer } from './producer.ts'
import { openSchemas, type SchemaSettings } from './schemas.ts'
import { openTail } from './tail.ts'
import { createTopics } from './topics.ts'
import { openWire } from './wire.ts'

export interface KafkaSettings extends GroupSettings {
  /** host:port of some of them. */
  brokers: string[]
  clientId: string
  ssl: NonNullable<KafkaConfig['ssl']>
  sasl: KafkaConfig['sasl'] | null
  /** Copies of each topic that is made. */
  replication: number
  maxRecordBytes: number
  registry: SchemaSettings
  /** A record that is not confirmed within this time is given up, and its append fails, ms. Default 30 s. */
  deliveryMs?: number
}

export interface KafkaLog extends EventLog {
  /** What would have to change. Changes nothing. */
  planTopics(topics: readonly TopicSpec[]): Promise<TopicChange[]>
  /** Makes, widens and configures: these changes of a plan and nothing else. What is refused stays as it is. */
  applyTopics(topics: readonly TopicSpec[], changes: readonly TopicChange[]): Promise<void>
  /** Ends as a crash would: nobody is told. */
  abandon(): void
}

const defaultMaxRecords = 500
const defaultDeliveryMs = 30_000
const patienceMs = 20_000
const maxReadRecords = 100_000

/** Waiting does not make a certificate valid; once the log is open it does, while certificates are being renewed. */
async function notTrusted(error: unknown): Promise<void> {
  if (error instanceof Error && /certificate/i.test(error.message))
    throw new RaylogError('config-invalid', `kafka.ssl: ${error.message}`, { cause: error })
}

/** @throws RaylogError log-unavailable when no broker answers, config-invalid when they refuse the login */
export async function openKafkaLog(options: {
  settings: KafkaSettings
  clock: Clock
  logger: Logger
}): Promise<KafkaLog> {
  const kafkajs = guardedKafkajs()
  const { settings, clock, logger } = options
  const { brokers, clientId, ssl, sasl, deliveryMs = defaultDeliveryMs } = settings
  const wire = openWire({ kafkajs, brokers, clientId, ssl, sasl, clock, log: createLog(kafkajs, logger) })
  try {
    await patiently(wire.refresh, { clock, deadlineMs: patienceMs, between: notTrusted })
  } catch (error) {
    wire.close()
    throw toLogError(error)
  }
  const offsets = createOffsets({ wire, kafkajs, clock })
  const store = createOffsetStore({ wire, kafkajs, offsets, clock })
  const topics = createTopics({ wire, kafkajs, offsets, clock, settings })
  const schemas = openSchemas(settings.registry, { clock, logger })
  const producer = createProducer({ wire, kafkajs, clock, logger, deliveryMs })
  const { partitionsOf } = wire
  const append = createAppend({ producer, partitionsOf, clock, maxRecordBytes: settings.maxRecordBytes })
  const open = new Set<Subscription>()
  let closing: Promise<void> | undefined
  let subscriptions = 0

  /** While it is open, with errors of the table. */
  function told<Result>(act: () => Promise<Result>): Promise<Result> {
    if (closing) return Promise.reject(new RaylogError('stopping', 'the log is closed'))
    return act().catch(error => {
      throw toLogError(error)
    })
  }

  async function subscribe(asked: SubscribeOptions, subscriber: Subscriber): Promise<Subscription> {
    const common = {
      ...{ wire, kafkajs, offsets, clock, logger },
      purpose: `subscription ${++subscriptions}`,
      maxRecords: asked.maxRecords ?? defaultMaxRecords,
    }
    const subscription = asked.group
      ? await openGroup(asked.group, asked, subscriber, { ...common, pastEnd: 'oldest', store, settings })
      : await openTail(asked, subscriber, { ...common, pastEnd: 'newest' })
    open.add(subscription)
    return {
      ...subscription,
      close() {
        open.delete(subscription)
        return subscription.close()
      },
    }
  }

  async function read(from: Position, max: number): Promise<LogRecord[]> {
    const count = await wire.partitionsOf(from.topic)
    if (!(from.partition >= 0 && from.partition < count))
      throw new RaylogError('not-found', `there is no partition ${from.topic}/${from.partition}`)
    const wanted = Math.min(Math.max(Math.trunc(max), 0), maxReadRecords)
    const records: LogRecord[] = []
    let at = { ...from, offset: Math.max(0, from.offset) }
    while (records.length < wanted) {
      const fetched = await patiently(() => readOnce(at), { clock, deadlineMs: patienceMs, between: wire.refresh })
      records.push(...fetched.records)
      if (fetched.next === at.offset) break
      at = { ...at, offset: fetched.next }
    }
    return records.slice(0, wanted)
  }

  async function readOnce(at: Position): Promise<{ records: LogRecord[]; next: number }> {
    const [fetched] = await fetchFrom(wire.leaderOf(at), [at], { wire, kafkajs, purpose: 'read', maxWaitMs: 0 })
    if (!fetched) return { records: [], next: at.offset }
    if (!fetched.error) return fetched
    if (typeOf(fetched.error) !== 'OFFSET_OUT_OF_RANGE') throw fetched.error
    const bound = (await offsets.bounds(at.topic)).find(({ partition }) => partition === at.partition)
    return { records: [], next: Math.max(at.offset, bound?.low ?? 0) }
  }

  async function close(): Promise<void> {
    if (!wire.isClosed()) {
      await Promise.all([...open].map(subscription => subscription.close()))
      await producer.close()
    }
    schemas.close()
    wire.close()
  }

  return {
    ensureTopics: specs => told(() => topics.ensure(specs)),
    planTopics: specs => told(() => topics.plan(specs)),
    applyTopics: (specs, changes) => told(() => topics.apply(specs, changes)),
    topics: () => told(() => topics.list()),
    append: records =>
      told(async () => {
        schemas.check()
        return append(records)
      }),
    subscribe: (asked, subscriber) => told(() => subscribe(asked, subscriber)),
    read: (from, max) => told(() => read(from, max)),
    offsetsAt: (topic, time) => told(() => offsets.atTime(topic, time)),
    lag: group => told(() => store.lag(group)),
    groups: () => told(() => store.groups()),
    seek: (group, next) => told(() => store.seek(group, next)),
    schemaId: (subject, schema) => told(() => schemas.idOf(subject, schema)),
    schemaText: id => told(() => schemas.textOf(id)),
    check: () =>
      told(async () => {
        schemas.check()
        await wire.refresh()
      }),
    close() {
      closing ??= close()
      return closing
    },
    abandon() {
      closing ??= Promise.resolve()
      schemas.close()
      wire.close()
    },
  }
}
