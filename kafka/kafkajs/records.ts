/** Between Kafka's messages and the log's records. */
import type { IHeaders } from 'kafkajs'
import type { LogRecord, NewRecord } from '../log.ts'
import type { ProduceMessage, RawRecord } from './protocol.ts'

export function toLogRecord(topic: string, partition: number, message: RawRecord): LogRecord {
  return {
    topic,
    partition,
    offset: Number(message.offset),
    key: message.key?.toString() ?? '',
    value: message.value ?? Buffer.alloc(0),
    headers: toHeaders(message.headers),
    timestamp: Number(message.timestamp),
  }
}

/** Kafka allows a header many times; the last one counts. */
function toHeaders(headers: IHeaders | undefined): Record<string, string> {
  const plain: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers ?? {})) {
    const last = Array.isArray(value) ? value.at(-1) : value
    if (last !== undefined) plain[name] = last.toString()
  }
  return plain
}

/** The value is copied. */
export const toMessage = (record: NewRecord, now: number): ProduceMessage => ({
  key: record.key,
  value: Buffer.from(record.value),
  // kafkajs finds a batch's newest timestamp by comparing them as texts: all have the same length.
  timestamp: String(record.timestamp ?? now).padStart(16, '0'),
  headers: { ...record.headers },
})

/** What a record costs on the wire, near enough to fill a request with. Bytes. */
export const sizeOf = (record: NewRecord): number => record.value.byteLength + record.key.length * 3 + 100
