/**
 * Appends to Kafka, and says so only when every partition has said so.
 *
 * kafkajs 2.2.4 keeps the answers of brokers over its retries: where a leader moves, during a send, to a broker that had
 * already answered, the partition's messages are never sent, and `send` still resolves, short of that partition in its
 * result. So partitions are chosen here, the result must name each of them, and what is missing is sent again.
 *
 * One request is under way at a time; what comes meanwhile goes with the next. That keeps the order of each key over
 * re-sends, and makes many small appends one request.
 */
import type { Producer } from 'kafkajs'
import type { Clock } from '../../monitoring/clock.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { partitionOf } from '../murmur2.ts'
import type { NewRecord, Position } from '../log.ts'
import { sizeOf, toMessage } from './records.ts'

export interface Appender {
  append(records: readonly NewRecord[]): Promise<Position[]>
  /** Resolves when what was begun has been answered. */
  close(): Promise<void>
}

interface Waiting {
  records: readonly NewRecord[]
  bytes: number
  resolve: (positions: Position[]) => void
  reject: (error: Error) => void
}

/** A record with its partition, and where the answer goes. */
interface Placed {
  record: NewRecord
  partition: number
  position: Position
}

const maxRequestBytes = 900_000
const resends = 5

export function createAppender(options: {
  producer: Pick<Producer, 'sendBatch'>
  /** @throws when the topic does not exist */
  partitionsOf: (topic: string) => Promise<number>
  clock: Clock
  maxRecordBytes: number
}): Appender {
  const { producer, partitionsOf, clock, maxRecordBytes } = options
  let queue: Waiting[] = []
  let pumping: Promise<void> | undefined

  async function pump(): Promise<void> {
    while (queue.length > 0) {
      let bytes = 0
      let count = 0
      for (const waiting of queue) {
        if (count > 0 && bytes + waiting.bytes > maxRequestBytes) break
        bytes += waiting.bytes
        count++
      }
      const taken = queue.slice(0, count)
      queue = queue.slice(count)
      try {
        const placed = await Promise.all(taken.map(({ records }) => place(records)))
        await send(placed.flat())
        for (const [index, { resolve }] of taken.entries())
          resolve((placed[index] ?? []).map(({ position }) => position))
      } catch (cause) {
        const error =
          cause instanceof RaylogError
            ? cause
            : new RaylogError('log-unavailable', cause instanceof Error ? cause.message : String(cause), { cause })
        for (const { reject } of taken) reject(error)
      }
    }
    pumping = undefined
  }

  const place = (records: readonly NewRecord[]): Promise<Placed[]> =>
    Promise.all(
      records.map(async record => {
        const partition = partitionOf(Buffer.from(record.key), await partitionsOf(record.topic))
        return { record, partition, position: { topic: record.topic, partition, offset: -1 } }
      }),
    )

  async function send(placed: readonly Placed[]): Promise<void> {
    let missing = groups(placed)
    for (let attempt = 0; missing.size > 0; attempt++) {
      if (attempt > resends)
        throw new RaylogError('log-unavailable', `the brokers did not confirm ${[...missing.keys()].join(', ')}`)
      const results = await producer.sendBatch({ acks: -1, topicMessages: toBatch(missing, clock.now()) })
      for (const { topicName, partition, baseOffset, errorCode } of results) {
        const name = `${topicName}/${partition}`
        const group = missing.get(name)
        if (!group || errorCode !== 0 || baseOffset === undefined) continue
        for (const [index, { position }] of group.entries()) position.offset = Number(baseOffset) + index
        missing.delete(name)
      }
      missing = new Map(missing)
    }
  }

  return {
    append(records) {
      const large = records.find(record => sizeOf(record) > maxRecordBytes)
      if (large)
        return Promise.reject(
          new RaylogError(
            'too-large',
            `a record of ${large.topic} has ${large.value.byteLength} bytes, above kafka.maxRecordBytes`,
          ),
        )
      if (records.length === 0) return Promise.resolve([])
      const bytes = records.reduce((sum, record) => sum + sizeOf(record), 0)
      return new Promise((resolve, reject) => {
        queue.push({ records, bytes, resolve, reject })
        pumping ??= pump()
      })
    },
    async close() {
      await pumping
    },
  }
}

function groups(placed: readonly Placed[]): Map<string, Placed[]> {
  const byPartition = new Map<string, Placed[]>()
  for (const one of placed) {
    const name = `${one.record.topic}/${one.partition}`
    const group = byPartition.get(name)
    if (group) group.push(one)
    else byPartition.set(name, [one])
  }
  return byPartition
}

function toBatch(byPartition: ReadonlyMap<string, readonly Placed[]>, now: number) {
  const byTopic = new Map<string, ReturnType<typeof toMessage>[]>()
  for (const { record, partition } of [...byPartition.values()].flat()) {
    const messages = byTopic.get(record.topic) ?? []
    messages.push(toMessage(record, partition, now))
    byTopic.set(record.topic, messages)
  }
  return [...byTopic].map(([topic, messages]) => ({ topic, messages }))
}
