/**
 * Records that something else keeps until they are on the log: the object store, beside the bytes that they tell of, so that
 * one write makes both durable (storage/arrivals).
 */
import { deserialize, serialize } from 'node:v8'
import type { EventLog, LogRecord, NewRecord, Position } from './log.ts'

type Fields = [topic: string, key: string, headers: Record<string, string>, timestamp: number, value: Uint8Array]

/** @param now its timestamp on the log, ms */
export function seal({ topic, key, value, headers = {} }: NewRecord, now: number): Buffer {
  const fields: Fields = [topic, key, headers, now, value]
  return serialize(fields)
}

function open(sealed: Uint8Array): Required<NewRecord> {
  // Written by `seal` alone, and whole: who kept it has checked that.
  const [topic, key, headers, timestamp, value]: Fields = deserialize(sealed)
  return { topic, key, headers, timestamp, value }
}

/** Of one page of what is looked through, records. */
const pageRecords = 500

/**
 * Puts them on the log; durable when it resolves.
 * @param again they may be there already: those are left out
 */
export async function appendSealed(
  log: Pick<EventLog, 'append' | 'offsetsAt' | 'read'>,
  sealed: readonly Uint8Array[],
  again: boolean,
): Promise<void> {
  const records = sealed.map(open)
  const missing = again ? await notThere(log, records) : records
  if (missing.length > 0) await log.append(missing)
}

const identity = ({ topic, key, value }: NewRecord | LogRecord) =>
  `${topic} ${key} ${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('latin1')}`

/** Looks through what came since the oldest of them until all are found, a page of each partition in turn: they are in all. */
async function notThere(
  log: Pick<EventLog, 'offsetsAt' | 'read'>,
  records: readonly Required<NewRecord>[],
): Promise<NewRecord[]> {
  const missing = new Map(records.map(record => [identity(record), record]))
  const since = Math.min(...records.map(({ timestamp }) => timestamp))
  const topics = [...new Set(records.map(({ topic }) => topic))]
  let places = (await Promise.all(topics.map(topic => log.offsetsAt(topic, since)))).flat()
  while (places.length > 0) {
    const further: Position[] = []
    for (const at of places) {
      if (missing.size === 0) return []
      const page = await log.read(at, pageRecords)
      for (const record of page) missing.delete(identity(record))
      const last = page.at(-1)
      if (last) further.push({ ...at, offset: last.offset + 1 })
    }
    places = further
  }
  return [...missing.values()]
}
