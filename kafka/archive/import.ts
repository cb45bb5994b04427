/**
 * Takes an export into a log, in two passes. The first changes nothing: it reads the whole file, holds it against its digest,
 * and against what the log has already. The second appends what is missing, in the file's order, so that each key keeps its
 * order; schemas get the ids of this log.
 *
 * Nothing is doubled: a partition must hold nothing, or the beginning of what the file has for it, as an import that was
 * interrupted leaves it. Such an import goes on where it stood. Nobody else may append meanwhile: that ends it.
 */

import { RaylogError } from '../../schemas/errors.ts'
import { subjectOf } from '../codec.ts'
import type { EventLog, NewRecord, Position, TopicSpec } from '../log.ts'
import { partitionOf } from '../murmur2.ts'
import { type ArchiveHeader, type ArchiveRecord, type ArchiveSchema, readArchive, schemaIdOf } from './format.ts'
import { createPlaces, type Places } from './places.ts'
import { createHeld, type Held } from './target.ts'

export interface ImportOptions {
  /** How topics are made that are not there yet; those of the file otherwise. */
  specs: readonly TopicSpec[]
  /** Groups that keep no position: they read everything again. */
  fromStart: readonly string[]
  onProgress?(done: number, total: number): void
}

export interface Imported {
  records: number
  /** Of the records, those that were there from an interrupted import. */
  there: number
  /** Groups whose positions were set. */
  groups: string[]
}

/** In flight at once. */
const batch = { records: 1_000, bytes: 2 * 1024 * 1024 }
/** No log gives such an id: a schema that nobody knows must not become one that this log knows. */
const nobodysId = 0xffff_ffff

/** @throws RaylogError bad-request where the log holds something else; truncated, object-damaged; log-unavailable, store-full */
export async function importLog(log: EventLog, path: string, options: ImportOptions): Promise<Imported> {
  const { header, schemas, records } = await inspect(path)
  await log.ensureTopics(header.topics.map(topic => options.specs.find(({ name }) => name === topic.name) ?? topic))
  const partitions = new Map((await log.topics()).map(({ name, partitions }) => [name, partitions]))
  const held = await createHeld(log, header)
  await compare(path, partitions, held)

  const ids = await registered(log, schemas)
  const places = createPlaces(header)
  let waiting: { record: NewRecord; to: Position }[] = []
  let bytes = 0
  let done = 0
  async function flush(): Promise<void> {
    await append(log, waiting)
    waiting = []
    bytes = 0
    options.onProgress?.(done, records)
  }
  for await (const record of recordsOf(path)) {
    const to = places.next(record, partitionFor(record, partitions))
    done += 1
    if (held.has(to)) continue
    waiting.push({ record: await translated(log, record, ids), to })
    bytes += record.value.length
    if (waiting.length >= batch.records || bytes >= batch.bytes) await flush()
  }
  await flush()
  const groups = await setPositions(log, places, partitions, options.fromStart)
  return { records, there: held.total, groups }
}

/** Reads all of it: what is not whole is refused before anything is written. */
async function inspect(path: string) {
  let header: ArchiveHeader | undefined
  const schemas: ArchiveSchema[] = []
  let records = 0
  for await (const item of readArchive(path)) {
    if (item.kind === 'header') header = item.header
    if (item.kind === 'schema') schemas.push(item.schema)
    if (item.kind === 'record') records += 1
  }
  if (!header) throw new RaylogError('truncated', 'the export is empty')
  return { header, schemas, records }
}

async function* recordsOf(path: string): AsyncGenerator<ArchiveRecord> {
  for await (const item of readArchive(path)) if (item.kind === 'record') yield item.record
}

const partitionFor = ({ topic, key }: ArchiveRecord, partitions: ReadonlyMap<string, number>): number =>
  partitionOf(Buffer.from(key), partitions.get(topic) ?? 1)

/** @throws RaylogError bad-request where a partition holds something else than the beginning of what would go into it */
async function compare(path: string, partitions: ReadonlyMap<string, number>, held: Held): Promise<void> {
  if (held.total === 0) return
  for await (const record of recordsOf(path)) await held.expect(record, partitionFor(record, partitions))
  held.done()
}

/** Older ones first, as they came into being: a registry compares each with those before it. */
async function registered(log: EventLog, schemas: readonly ArchiveSchema[]): Promise<Map<number, number>> {
  const ids = new Map<number, number>()
  for (const { id, topic, text } of schemas.toSorted((a, b) => a.id - b.id))
    ids.set(id, await log.schemaId(subjectOf({ name: topic }), text))
  return ids
}

async function translated(log: EventLog, record: ArchiveRecord, ids: Map<number, number>): Promise<NewRecord> {
  const { topic, key, headers, timestamp } = record
  const id = schemaIdOf(record.value)
  if (id === undefined) return { topic, key, headers, timestamp, value: record.value }
  let own = ids.get(id)
  if (own === undefined) {
    own = (await isKnown(log, id)) ? nobodysId : id
    ids.set(id, own)
  }
  const value = Buffer.from(record.value)
  value.writeUInt32BE(own, 1)
  return { topic, key, headers, timestamp, value }
}

async function isKnown(log: EventLog, id: number): Promise<boolean> {
  try {
    await log.schemaText(id)
    return true
  } catch (error) {
    if (error instanceof RaylogError && error.code === 'bad-record') return false
    throw error
  }
}

async function append(log: EventLog, waiting: readonly { record: NewRecord; to: Position }[]): Promise<void> {
  const positions = await log.append(waiting.map(({ record }) => record))
  for (const [index, { to }] of waiting.entries()) {
    const at = positions[index]
    if (at?.partition !== to.partition || at.offset !== to.offset)
      throw new RaylogError(
        'bad-request',
        `someone else appends to ${to.topic}: stop everything that does, empty the topics and import again`,
      )
  }
}

/** Where the stages stood, in the offsets of this log. A group that has a position in a topic already keeps it. */
async function setPositions(
  log: EventLog,
  places: Places,
  partitions: ReadonlyMap<string, number>,
  fromStart: readonly string[],
): Promise<string[]> {
  const set = new Set<string>()
  for (const { group, positions } of places.groups(partitions)) {
    if (fromStart.includes(group)) continue
    const kept = new Set((await log.lag(group)).map(({ topic }) => topic))
    const next = positions.filter(({ topic }) => !kept.has(topic))
    if (next.length === 0) continue
    await log.seek(group, next)
    set.add(group)
  }
  return [...set].sort()
}
