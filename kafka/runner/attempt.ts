/** One record through one stage: decode, handle, append what was emitted; retried, waited for, or parked by its error. */
import type { Logger } from 'pino'
import type { Clock } from '../../monitoring/clock.ts'
import type { Metrics } from '../../monitoring/metrics.ts'
import type { PlatformConfig } from '../../schemas/config.ts'
import { RaylogError, toRaylogError } from '../../schemas/errors.ts'
import { ids } from '../../schemas/ids.ts'
import { onlyHeader } from '../../schemas/topics/parked.ts'
import { type EventOf, type Topic, topics } from '../../schemas/topics.ts'
import type { EventLog, LogRecord, NewRecord } from '../log.ts'
import type { Codec } from '../ports.ts'
import type { AnyStage, Handed, HandleContext, OpenStage } from '../stage.ts'

export interface AttemptContext {
  stage: AnyStage
  opened: OpenStage<Topic, Topic>
  log: EventLog
  /** Puts what a handler emitted on the log; durable when it resolves. */
  append(records: readonly NewRecord[]): Promise<unknown>
  codec: Codec
  clock: Clock
  logger: Logger
  metrics: Metrics
  settings: PlatformConfig['runner']
  random: () => number
}

/** What a feed is opened with: it makes `append` by itself. */
export type FeedContext = Omit<AttemptContext, 'append'>

/** How long a handler has. `signal` is aborted after `leaving`, or with it. */
export type Time = Pick<HandleContext<Topic>, 'signal' | 'leaving'>

/** Headers that go on from an event to those made of it. */
const carried = ['traceparent', 'tracestate']

/**
 * Resolves when the record is done: handled and what it emitted is durable, or parked.
 * @throws the reason of one of the signals, leaving the record for its next reader; RaylogError whose verdict is `stop`
 */
export async function process(context: AttemptContext, record: LogRecord, time: Time): Promise<void> {
  const { signal, leaving } = time
  const { stage, metrics, logger, settings } = context
  const topic = topicOf(stage, record)
  if (!topic) return
  metrics.eventsIn.inc({ stage: stage.name, topic: record.topic })
  /** Attempts that count against the retries: an outage that was waited out uses up none. */
  let failures = 0
  for (let attempt = 1; ; attempt++) {
    try {
      const emitted = await handle(context, topic, record, attempt, time)
      // Its partition is another's by now, who says the same, and what comes after it: said late it would stand behind that.
      signal.throwIfAborted()
      if (emitted.length > 0) await context.append(emitted)
      for (const { topic: name } of emitted) metrics.eventsOut.inc({ stage: stage.name, topic: name })
      return
    } catch (thrown) {
      signal.throwIfAborted()
      // Whatever it failed of, its next reader tries it sooner than this one would.
      leaving.throwIfAborted()
      const error = toRaylogError(thrown)
      const { verdict } = error.entry
      if (verdict === 'stop') throw error
      if (verdict === 'retry') failures++
      if (verdict === 'park' || failures > settings.retries) return await park(context, record, error, attempt, signal)
      metrics.eventsRetried.inc({ stage: stage.name, code: error.code })
      if (attempt === 1 || attempt % 20 === 0)
        logger.warn({ code: error.code, reason: error.message, attempt, at: where(record) }, 'trying again')
      await context.clock.sleep(backoffMs(settings, attempt, context.random), leaving)
    }
  }
}

/** The topic of a record that is for the stage; undefined for one that is not. */
function topicOf(stage: AnyStage, record: LogRecord): Topic | undefined {
  const only = record.headers[onlyHeader]
  if (only !== undefined && only !== stage.name) return undefined
  return stage.reads.find(candidate => candidate.name === record.topic)
}

/** What is handed to a handler with a record, and then what it emitted, as records. */
async function hand({ codec }: AttemptContext, topic: Topic, record: LogRecord, attempt: number, time: Time) {
  const event = await codec.decode(topic, record)
  const emitted: { topic: Topic; event: EventOf<Topic> }[] = []
  const handed: Handed<Topic, Topic> = {
    read: { topic: topic.name, event },
    context: {
      ...time,
      attempt,
      headers: record.headers,
      at: { topic: record.topic, partition: record.partition, offset: record.offset },
      emit: (to, what) => emitted.push({ topic: to, event: what }),
    },
  }
  async function records(): Promise<NewRecord[]> {
    if (emitted.length === 0) return []
    const headers = Object.fromEntries(Object.entries(record.headers).filter(([name]) => carried.includes(name)))
    return Promise.all(emitted.map(({ topic: to, event: what }) => toRecord(codec, to, what, headers)))
  }
  return { handed, records }
}

async function handle(
  context: AttemptContext,
  topic: Topic,
  record: LogRecord,
  attempt: number,
  time: Time,
): Promise<NewRecord[]> {
  const { stage, opened, metrics } = context
  const { handed, records } = await hand(context, topic, record, attempt, time)
  const started = performance.now()
  await opened.handle?.(handed.read, handed.context)
  metrics.handleSeconds.observe({ stage: stage.name }, (performance.now() - started) / 1_000)
  return records()
}

/**
 * Several records of one key at once, by a stage that can do that.
 * @returns whether all are done; where not, each is to be processed alone: then it is seen whose fault it is
 */
export async function processMany(
  context: AttemptContext,
  these: readonly { record: LogRecord; time: Time }[],
): Promise<boolean> {
  const { stage, opened, metrics } = context
  const concerned = these.flatMap(({ record, time }) => {
    const topic = topicOf(stage, record)
    return topic ? [{ topic, record, time }] : []
  })
  try {
    const hands = await Promise.all(concerned.map(one => hand(context, one.topic, one.record, 1, one.time)))
    const started = performance.now()
    if (hands.length > 0) await opened.handleMany?.(hands.map(({ handed }) => handed))
    const seconds = (performance.now() - started) / 1_000 / hands.length
    for (const _ of hands) metrics.handleSeconds.observe({ stage: stage.name }, seconds)
    const emitted = (await Promise.all(hands.map(({ records }) => records()))).flat()
    // See `process`.
    if (concerned.some(({ time }) => time.signal.aborted)) return false
    if (emitted.length > 0) await context.append(emitted)
    for (const { record } of concerned) metrics.eventsIn.inc({ stage: stage.name, topic: record.topic })
    for (const { topic } of emitted) metrics.eventsOut.inc({ stage: stage.name, topic })
    return true
  } catch (thrown) {
    const { code, message, entry } = toRaylogError(thrown)
    // An outage is waited out by each alone, which says so.
    const level = entry.verdict === 'wait' ? 'debug' : 'warn'
    context.logger[level]({ code, reason: message, events: these.length }, 'not together: each alone')
    return false
  }
}

export async function toRecord<T extends Topic>(
  codec: Codec,
  topic: T,
  event: EventOf<T>,
  headers: Record<string, string> = {},
): Promise<NewRecord> {
  const key = (event as Record<string, unknown>)[topic.keyField]
  return { topic: topic.name, key: String(key), value: await codec.encode(topic, event), headers }
}

/** Doubles each time up to a limit; half of it is chance, so that many who wait do not come back together. */
function backoffMs(
  { backoffMs: first, maxBackoffMs }: PlatformConfig['runner'],
  attempt: number,
  random: () => number,
) {
  const full = Math.min(maxBackoffMs, first * 2 ** Math.min(attempt - 1, 30))
  return full / 2 + (random() * full) / 2
}

const where = ({ topic, partition, offset }: LogRecord) => `${topic}/${partition}/${offset}`

/** Waits for the log as long as it takes: an event that cannot be parked yet is neither done nor lost. */
async function park(
  context: AttemptContext,
  record: LogRecord,
  error: RaylogError,
  attempts: number,
  signal: AbortSignal,
) {
  const { stage, clock, log, logger, metrics, settings } = context
  let whole = true
  // What is on parked.v1 stays there: parked once more it would be a record of a record, and come back here again.
  for (let attempt = 1; record.topic !== topics.parked.name; attempt++) {
    try {
      await log.append([await parkedRecord(context, record, error, attempts, whole)])
      break
    } catch (thrown) {
      signal.throwIfAborted()
      const refusal = toRaylogError(thrown)
      // It is as large as a record may be, and what is said of it comes on top: it would be waited for for ever.
      if (refusal.code === 'too-large') whole = false
      if (attempt === 1) logger.error({ err: refusal }, 'cannot park; waiting for the log')
      await clock.sleep(backoffMs(settings, attempt, context.random), signal)
    }
  }
  metrics.eventsParked.inc({ stage: stage.name, code: error.code })
  logger.error({ code: error.code, reason: error.message, attempts, at: where(record) }, 'parked')
}

async function parkedRecord(
  context: AttemptContext,
  record: LogRecord,
  error: RaylogError,
  attempts: number,
  whole: boolean,
): Promise<NewRecord> {
  const { topic, partition, offset, key, headers } = record
  const value = whole ? record.value : Buffer.alloc(0)
  const message = whole ? error.message : `${error.message} (its bytes are too many to be parked: ${where(record)})`
  const { stage, codec, clock } = context
  return toRecord(codec, topics.parked, {
    id: ids.parked(stage.name, topic, partition, offset),
    stage: stage.name,
    ...{ topic, partition, offset, key, value, headers },
    subject: await subjectOf(context, record),
    code: error.code,
    message,
    attempts,
    at: clock.now(),
  })
}

/** The event's own id, for people who look for it; null where the record does not decode. */
async function subjectOf({ stage, codec }: AttemptContext, record: LogRecord): Promise<string | null> {
  const topic = stage.reads.find(candidate => candidate.name === record.topic)
  if (!topic) return null
  try {
    const event: unknown = await codec.decode(topic, record)
    return typeof event === 'object' && event !== null && 'id' in event ? String(event.id) : null
  } catch (error) {
    if (error instanceof RaylogError) return null
    throw error
  }
}
