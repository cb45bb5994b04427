/** What the embedded log asks of its SQLite thread. Records cross packed: one buffer, and a few arrays beside it. */
import type { LogRecord, NewRecord, Position, TopicInfo, TopicPartition, TopicSpec } from '../log.ts'

export interface Packed {
  timestamps: number[]
  /** JSON, or null where there are none. */
  headers: (string | null)[]
  keySizes: number[]
  valueSizes: number[]
  /** key, value, key, value … */
  bytes: Uint8Array<ArrayBuffer>
}

export interface PackedNew extends Packed {
  topics: string[]
  /** For each record, which of `topics`. */
  topicOf: number[]
}

export interface PackedRead extends Packed {
  /** Offset of the first record; the others follow without a gap. */
  first: number
}

export interface GroupOffset extends Position {
  group: string
}

/** All that the port keeps in memory of the log. */
export interface Hello {
  topics: TopicInfo[]
  offsets: GroupOffset[]
}

export interface ReadInput extends Position {
  max: number
  maxBytes: number
}

export interface Trimmed {
  removed: number
  /** Oldest kept offsets after it. */
  lows: (TopicPartition & { low: number })[]
}

export type LogOperations = {
  ensureTopics: { input: readonly TopicSpec[]; output: TopicInfo[] }
  /** For each record its partition and offset. */
  append: { input: PackedNew; output: { partitions: number[]; offsets: number[] } }
  read: { input: ReadInput; output: PackedRead }
  commit: { input: { group: string; next: readonly Position[] }; output: undefined }
  offsetsAt: { input: { topic: string; time: number }; output: Position[] }
  /** Removes one chunk of what the topic need not keep at `now`. */
  trim: { input: { topic: string; now: number }; output: Trimmed }
  schemaId: { input: string; output: number }
  schemaText: { input: number; output: string }
  check: { input: undefined; output: undefined }
}

/** @param now timestamp of the records that have none */
export function pack(records: readonly NewRecord[], now: number): PackedNew {
  const names = new Map<string, number>()
  const packed = {
    topicOf: [] as number[],
    timestamps: [] as number[],
    headers: [] as (string | null)[],
    keySizes: [] as number[],
    valueSizes: [] as number[],
  }
  let size = 0
  for (const { topic, key, value, headers, timestamp } of records) {
    const name = names.get(topic) ?? names.size
    names.set(topic, name)
    const keySize = Buffer.byteLength(key)
    packed.topicOf.push(name)
    packed.timestamps.push(timestamp ?? now)
    packed.headers.push(textOf(headers))
    packed.keySizes.push(keySize)
    packed.valueSizes.push(value.byteLength)
    size += keySize + value.byteLength
  }
  const bytes = Buffer.from(new ArrayBuffer(size))
  let at = 0
  for (const { key, value } of records) {
    at += bytes.write(key, at)
    bytes.set(value, at)
    at += value.byteLength
  }
  return { ...packed, topics: [...names.keys()], bytes }
}

function textOf(headers: Record<string, string> | undefined): string | null {
  for (const _ in headers) return JSON.stringify(headers)
  return null
}

/** The records' values are views of the one buffer. */
export function unpack(packed: PackedRead, { topic, partition }: TopicPartition): LogRecord[] {
  const { buffer, byteOffset, byteLength } = packed.bytes
  const bytes = Buffer.from(buffer, byteOffset, byteLength)
  let at = 0
  return packed.timestamps.map((timestamp, index) => {
    const valueAt = at + (packed.keySizes[index] ?? 0)
    const end = valueAt + (packed.valueSizes[index] ?? 0)
    const headers = packed.headers[index]
    const record: LogRecord = {
      topic,
      partition,
      offset: packed.first + index,
      key: bytes.toString('utf8', at, valueAt),
      value: bytes.subarray(valueAt, end),
      headers: headers ? JSON.parse(headers) : {},
      timestamp,
    }
    at = end
    return record
  })
}
