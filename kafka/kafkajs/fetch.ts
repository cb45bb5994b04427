/** One request to one leader for records of some of its partitions. */
import type { LogRecord, Position } from '../log.ts'
import type { FetchedPartition, Kafkajs } from './protocol.ts'
import { toLogRecord } from './records.ts'
import type { Wire } from './wire.ts'

export interface Fetched {
  /** The position that was asked for. */
  from: Position
  records: LogRecord[]
  /** Where to go on: past control records and compacted ones too, which are not records of ours. */
  next: number
  error: Error | undefined
}

export interface FetchOptions {
  wire: Wire
  kafkajs: Kafkajs
  purpose: string
  /** How long the broker waits for the first record, ms. */
  maxWaitMs: number
}

/** Bytes of one partition and of all: at least one record comes, however large. */
const maxPartitionBytes = 1_000_000
const maxBytes = 8_000_000
const answerMs = 4_000

/** @throws LinkError; errors of single partitions are in their entries */
export async function fetchFrom(leader: number, positions: readonly Position[], options: FetchOptions) {
  const { wire, kafkajs, purpose, maxWaitMs } = options
  const link = await wire.to(leader, purpose)
  const { errorCode = 0, responses } = await link.send(
    'Fetch',
    {
      maxWaitTime: maxWaitMs,
      minBytes: maxWaitMs > 0 ? 1 : 0,
      maxBytes,
      topics: [...Map.groupBy(positions, ({ topic }) => topic)].map(([topic, ofTopic]) => ({
        topic,
        // The broker fills its answer from the first one on: the turn goes round with whoever asks.
        partitions: ofTopic.map(({ partition, offset }) => ({
          partition,
          fetchOffset: String(offset),
          maxBytes: maxPartitionBytes,
        })),
      })),
    },
    { raw: true, timeoutMs: maxWaitMs + answerMs },
  )
  if (errorCode !== 0) throw kafkajs.errorFromCode(errorCode)
  return responses.flatMap(({ topicName, partitions }) =>
    partitions.flatMap(data => {
      const from = positions.find(({ topic, partition }) => topic === topicName && partition === data.partition)
      return from ? [toFetched(from, data, kafkajs)] : []
    }),
  )
}

function toFetched(from: Position, data: FetchedPartition, kafkajs: Kafkajs): Fetched {
  if (data.errorCode !== 0)
    return { from, records: [], next: from.offset, error: kafkajs.errorFromCode(data.errorCode) }
  const { messages } = new kafkajs.Batch(from.topic, String(from.offset), data)
  const context = data.messages.at(-1)?.batchContext
  // Not the high watermark where nothing came, as kafkajs has it: an open transaction may still be below it.
  const end = context ? Number(context.firstOffset) + context.lastOffsetDelta + 1 : from.offset
  return {
    from,
    records: messages.map(message => toLogRecord(from.topic, from.partition, message)),
    next: Math.max(from.offset, end),
    error: undefined,
  }
}
