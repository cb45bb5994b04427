/** Between Kafka's messages and the log's records. */
import type { IHeaders, KafkaMessage, Message } from 'kafkajs'
import type { LogRecord, NewRecord } from '../log.ts'

type Raw = Pick<KafkaMessage, 'key' | 'value' | 'timestamp' | 'offset' | 'headers'>

export function toLogRecord(topic: string, partition: number, message: Raw): LogRecord {
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

export function toMessage(record: NewRecord, partition: number, now: number): Message {
  return {
    key: record.key,
    value: Buffer.from(record.value.buffer, record.value.byteOffset, record.value.byteLength),
    partition,
    timestamp: String(record.timestamp ?? now),
    ...(record.headers ? { headers: record.headers } : {}),
  }
}

/** What a record costs on the wire, near enough to fill a request with. Bytes. */
export const sizeOf = (record: NewRecord): number => record.value.byteLength + record.key.length + 200
