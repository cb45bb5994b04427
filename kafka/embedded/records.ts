/** Appending, reading, finding by time and trimming the records of the embedded log. Runs in the SQLite thread. */
import { RaylogError } from '../../schemas/errors.ts'
import type { Position } from '../log.ts'
import { partitionOf } from '../murmur2.ts'
import type { Appended } from './journal.ts'
import type { Partition, Tables, TopicState } from './tables.ts'
import type { PackedNew, PackedRead, ReadInput, Trimmed } from './wire.ts'

/**
 * Appends again what a power cut took from the end of the database: each record at the offset that it was said to have.
 * What is there already is left as it is.
 */
export function restore(tables: Tables, { input, output }: Appended): void {
  const known = new Set(tables.infos().map(({ name }) => name))
  if (!input.topics.every(name => known.has(name))) return // of another database, put in this one's place
  write(tables, input, (_key, parts, index) => {
    const partition = parts[output.partitions[index] ?? -1]
    return partition?.high === output.offsets[index] ? partition : undefined
  })
}

export function append(tables: Tables, packed: PackedNew): { partitions: number[]; offsets: number[] } {
  return write(tables, packed, (key, parts) => {
    const partition = parts[partitionOf(key, parts.length)]
    if (!partition) throw new RaylogError('not-found', 'the topic has no partitions')
    return partition
  })
}

/** @param choose the partition of a record; undefined where it is not to be written */
function write(
  tables: Tables,
  packed: PackedNew,
  choose: (key: Uint8Array, parts: readonly Partition[], index: number) => Partition | undefined,
): { partitions: number[]; offsets: number[] } {
  const topics = packed.topics.map(name => tables.topic(name))
  const touched = new Set<Partition>()
  const partitions: number[] = []
  const offsets: number[] = []
  let at = 0
  packed.topicOf.forEach((topicIndex, index) => {
    const keySize = packed.keySizes[index] ?? 0
    const valueSize = packed.valueSizes[index] ?? 0
    const headers = packed.headers[index] ?? null
    const timestamp = packed.timestamps[index] ?? 0
    const key = packed.bytes.subarray(at, at + keySize)
    const value = packed.bytes.subarray(at + keySize, at + keySize + valueSize)
    at += keySize + valueSize
    const partition = choose(key, topics[topicIndex]?.parts ?? [], index)
    if (!partition) return
    const size = keySize + valueSize + (headers?.length ?? 0)
    partition.maxTime = Math.max(partition.maxTime, timestamp)
    partition.statements.insert.run(partition.high, timestamp, partition.maxTime, size, key, headers, value)
    partitions.push(partition.partition)
    offsets.push(partition.high)
    partition.high += 1
    partition.bytes += size
    touched.add(partition)
  })
  for (const partition of touched) tables.saveBounds(partition)
  return { partitions, offsets }
}

/** Up to `max` records and about `maxBytes`, but one at least where there is one. Below the oldest: from that on. */
export function read(tables: Tables, { topic, partition, offset, max, maxBytes }: ReadInput): PackedRead {
  const state = tables.partition({ topic, partition })
  const first = Math.max(offset, state.low)
  const packed = { timestamps: [] as number[], headers: [] as (string | null)[] }
  const keySizes: number[] = []
  const valueSizes: number[] = []
  const pieces: Uint8Array[] = []
  let size = 0
  for (const row of rows(state, first, max)) {
    packed.timestamps.push(row.timestamp)
    packed.headers.push(row.headers)
    keySizes.push(row.key.byteLength)
    valueSizes.push(row.value.byteLength)
    pieces.push(row.key, row.value)
    size += row.key.byteLength + row.value.byteLength
    if (size >= maxBytes) break
  }
  const bytes = new Uint8Array(size)
  let at = 0
  for (const piece of pieces) {
    bytes.set(piece, at)
    at += piece.byteLength
  }
  return { first, ...packed, keySizes, valueSizes, bytes }
}

interface Row {
  timestamp: number
  key: Uint8Array
  headers: string | null
  value: Uint8Array
}

function* rows(partition: Partition, first: number, max: number): Generator<Row> {
  for (const { timestamp, key, headers, value } of partition.statements.read.iterate(first, max)) {
    if (typeof timestamp !== 'number' || !(key instanceof Uint8Array) || !(value instanceof Uint8Array))
      throw new RaylogError('bad-record', `a record of ${partition.topic}/${partition.partition} is damaged`)
    yield { timestamp, key, headers: typeof headers === 'string' ? headers : null, value }
  }
}

export function offsetsAt(tables: Tables, topic: string, time: number): Position[] {
  return tables.topic(topic).parts.map(part => ({ topic, partition: part.partition, offset: firstAt(part, time) }))
}

function firstAt({ low, high, statements }: Partition, time: number): number {
  let from = low
  let to = high
  while (from < to) {
    const middle = Math.floor((from + to) / 2)
    if (Number(statements.maxTime.get(middle)?.maxTime) >= time) to = middle
    else from = middle + 1
  }
  // The record that raised maxTime may be gone, if times were out of order and the oldest were trimmed: look on from here.
  return Number(statements.since.get(from, time)?.offset ?? high)
}

/** Bounds of one trimming step: it shares a transaction with appends, which must not wait for it. */
const step = { records: 500, bytes: 8 * 1024 * 1024 }

/**
 * Removes the oldest records that are older than the topic keeps, or that make it larger than it may be. As on Kafka it
 * does not ask whether every group has read them. The file does not shrink: what is freed is used for new records.
 */
export function trim(tables: Tables, topic: string, now: number): Trimmed {
  const state = tables.topic(topic)
  const { maxAgeMs, maxBytes } = state.retention
  let removed = 0
  if (maxAgeMs !== null) {
    for (const part of state.parts) {
      removed += removeWhile(tables, part, step.records - removed, oldest => oldest.timestamp < now - maxAgeMs)
    }
  }
  if (maxBytes !== null && removed === 0) {
    let excess = state.parts.reduce((sum, part) => sum + part.bytes, 0) - maxBytes
    const part = excess > 0 ? withOldest(state) : undefined
    if (part) {
      removed += removeWhile(tables, part, step.records, oldest => {
        const goes = excess > 0
        excess -= oldest.size
        return goes
      })
    }
  }
  const lows = state.parts.map(({ partition, low }) => ({ topic, partition, low }))
  return { removed, lows }
}

interface Oldest {
  timestamp: number
  size: number
}

function removeWhile(tables: Tables, part: Partition, most: number, goes: (oldest: Oldest) => boolean): number {
  let removed = 0
  let bytes = 0
  for (const row of part.statements.oldest.all(most)) {
    const oldest = { timestamp: Number(row.timestamp), size: Number(row.size) }
    if (bytes >= step.bytes || !goes(oldest)) break
    removed += 1
    bytes += oldest.size
  }
  if (removed === 0) return 0
  part.low += removed
  part.bytes -= bytes
  part.statements.removeBelow.run(part.low)
  tables.saveBounds(part)
  return removed
}

function withOldest(state: TopicState): Partition | undefined {
  let found: Partition | undefined
  let time = Number.POSITIVE_INFINITY
  for (const part of state.parts) {
    const [oldest] = part.statements.oldest.all(1)
    if (oldest && Number(oldest.timestamp) < time) {
      time = Number(oldest.timestamp)
      found = part
    }
  }
  return found
}
