/** What a log holds already of what an import would write: nothing, or the beginning of it. */
import { RaylogError } from '../../schemas/errors.ts'
import type { EventLog, LogRecord, TopicPartition } from '../log.ts'
import { type ArchiveHeader, type ArchiveRecord, schemaIdOf } from './format.ts'

export interface Held {
  /** Records in the topics of the file. */
  readonly total: number
  has(position: TopicPartition & { offset: number }): boolean
  /** The record that comes next for this partition. @throws RaylogError bad-request where another one stands there */
  expect(record: ArchiveRecord, partition: number): Promise<void>
  /** @throws RaylogError bad-request where there is more than what was expected */
  done(): void
}

interface Part extends TopicPartition {
  high: number
  /** Offset that the next expected record has. */
  next: number
  read: LogRecord[]
}

const chunk = 5_000
const schemaBytes = 5

export async function createHeld(log: EventLog, { topics }: ArchiveHeader): Promise<Held> {
  const parts = new Map<string, Part>()
  for (const { name, bounds } of await log.topics()) {
    if (!topics.some(topic => topic.name === name)) continue
    for (const { partition, high } of bounds)
      parts.set(`${name}/${partition}`, { topic: name, partition, high, next: 0, read: [] })
  }
  const partOf = ({ topic, partition }: TopicPartition) => parts.get(`${topic}/${partition}`)

  async function at(part: Part): Promise<LogRecord> {
    if (part.read.length === 0)
      part.read = (await log.read({ ...part, offset: part.next }, chunk)).filter(({ offset }) => offset < part.high)
    const record = part.read.shift()
    // What retention has taken cannot be compared, so it is not taken for ours.
    if (record?.offset !== part.next) throw foreign(part)
    return record
  }

  return {
    total: [...parts.values()].reduce((sum, { high }) => sum + high, 0),
    has: position => position.offset < (partOf(position)?.high ?? 0),
    async expect(record, partition) {
      const part = partOf({ topic: record.topic, partition })
      if (!part || part.next >= part.high) return
      if (!isSame(await at(part), record)) throw foreign(part)
      part.next += 1
    },
    done() {
      for (const part of parts.values()) if (part.next < part.high) throw foreign(part)
    },
  }
}

const foreign = ({ topic, partition, next }: Part) =>
  new RaylogError(
    'bad-request',
    `${topic}/${partition} does not hold what the file has at offset ${next}: import into topics that never had a record, or that an interrupted import of this file has left`,
  )

/** All but the schema's id, which is each log's own. */
function isSame(found: LogRecord, record: ArchiveRecord): boolean {
  const [a, b] = [found, record].map(({ value }) =>
    schemaIdOf(value) === undefined ? value : value.subarray(schemaBytes),
  )
  const headers = (of: Record<string, string>) => JSON.stringify(Object.entries(of).sort())
  return (
    found.key === record.key &&
    found.timestamp === record.timestamp &&
    a !== undefined &&
    b !== undefined &&
    a.equals(b) &&
    headers(found.headers) === headers(record.headers)
  )
}
