/** Writes a log, or a part of it, as one stream (format.ts). Reads through the port, so either log will do. */
import { createHash } from 'node:crypto'
import { RaylogError } from '../../schemas/errors.ts'
import type { EventLog, LogRecord, TopicInfo } from '../log.ts'
import { type ArchiveHeader, frame, jsonFrame, recordFrame, schemaIdOf } from './format.ts'

export interface ExportOptions {
  /** Names; all topics unless given. */
  topics?: readonly string[]
  /** Records at or after this time, ms since the epoch. */
  from?: number
  /** Records before this time, ms since the epoch. */
  to?: number
  /** When it is made, ms since the epoch. */
  now: number
  onProgress?(done: number, total: number): void
}

export interface Exported {
  records: number
  /** Of their schemas the registry does not know; kept as they are. */
  unknownSchemas: number
}

interface Range {
  topic: string
  partition: number
  from: number
  to: number
}

/** Records asked for at once. */
const chunk = 5_000
/** A log that says that records are there and gives none is asked again. */
const mostEmptyReads = 20

/**
 * What is on the log when it begins; what is appended meanwhile is left out. The positions of the stages are taken before the
 * ends of the topics: what a stage had done by then is in it, so nothing is lost where they go on from a copy.
 *
 * @returns through the generator's return value, what was written
 * @throws RaylogError not-found for a topic that is not there; log-unavailable
 */
export async function* exportLog(log: EventLog, options: ExportOptions): AsyncGenerator<Buffer, Exported> {
  const groups = await groupsOf(log)
  const topics = await chosen(log, options.topics)
  const ranges = (await Promise.all(topics.map(topic => rangesOf(log, topic, options)))).flat()
  const total = ranges.reduce((sum, { from, to }) => sum + to - from, 0)
  const names = topics.map(({ name }) => name)
  const digest = createHash('sha256')
  const signed = (bytes: Buffer): Buffer => {
    digest.update(bytes)
    return bytes
  }
  const header: ArchiveHeader = {
    format: 'raylog-log',
    version: 1,
    exportedAt: options.now,
    topics: topics.map(({ name, partitions, retention }) => ({ name, partitions, retention })),
    groups: groups.filter(({ topic }) => names.includes(topic)),
  }
  yield signed(jsonFrame('H', header))

  const known = new Map<number, boolean>()
  const result: Exported = { records: 0, unknownSchemas: 0 }
  for (const range of ranges) {
    for await (const record of recordsOf(log, range)) {
      const id = schemaIdOf(record.value)
      if (id !== undefined && !known.has(id)) {
        const text = await textOf(log, id)
        known.set(id, text !== undefined)
        if (text !== undefined) yield signed(jsonFrame('S', { id, topic: range.topic, text }))
      }
      if (id !== undefined && !known.get(id)) result.unknownSchemas += 1
      yield signed(recordFrame(record, names.indexOf(record.topic)))
      result.records += 1
      if (result.records % chunk === 0) options.onProgress?.(result.records, total)
    }
  }
  yield frame('E', Buffer.from(JSON.stringify({ records: result.records, sha256: digest.digest('hex') })))
  options.onProgress?.(result.records, total)
  return result
}

async function groupsOf(log: EventLog): Promise<ArchiveHeader['groups']> {
  const names = await log.groups()
  const lags = await Promise.all(names.map(async group => (await log.lag(group)).map(lag => ({ group, ...lag }))))
  return lags.flat().map(({ group, topic, partition, committed }) => ({ group, topic, partition, next: committed }))
}

async function chosen(log: EventLog, names: readonly string[] | undefined): Promise<TopicInfo[]> {
  const all = await log.topics()
  const missing = names?.filter(name => !all.some(topic => topic.name === name)) ?? []
  if (missing.length > 0)
    throw new RaylogError(
      'not-found',
      `no topic ${missing.join(', ')} on the log; there are ${all.map(({ name }) => name).join(', ')}`,
    )
  return names ? all.filter(({ name }) => names.includes(name)) : all
}

async function rangesOf(log: EventLog, { name, bounds }: TopicInfo, { from, to }: ExportOptions): Promise<Range[]> {
  const [first, last] = await Promise.all(
    [from, to].map(time => (time === undefined ? undefined : log.offsetsAt(name, time))),
  )
  return bounds.map(({ partition, low, high }) => {
    const at = (positions: typeof first, otherwise: number) =>
      positions?.find(position => position.partition === partition)?.offset ?? otherwise
    const start = Math.max(low, at(first, low))
    return { topic: name, partition, from: start, to: Math.max(start, Math.min(high, at(last, high))) }
  })
}

async function* recordsOf(log: EventLog, { topic, partition, from, to }: Range): AsyncGenerator<LogRecord> {
  let empty = 0
  for (let offset = from; offset < to; ) {
    const records = await log.read({ topic, partition, offset }, chunk)
    const last = records.at(-1)
    if (!last) {
      // Retention may have taken the rest meanwhile.
      const bounds = (await log.topics()).find(({ name }) => name === topic)?.bounds
      offset = Math.max(offset, bounds?.find(bound => bound.partition === partition)?.low ?? offset)
      if (++empty > mostEmptyReads)
        throw new RaylogError('log-unavailable', `${topic}/${partition} gives no record from ${offset} on`)
      continue
    }
    empty = 0
    for (const record of records) if (record.offset < to) yield record
    offset = last.offset + 1
  }
}

async function textOf(log: EventLog, id: number): Promise<string | undefined> {
  try {
    return await log.schemaText(id)
  } catch (error) {
    if (error instanceof RaylogError && error.code === 'bad-record') return undefined
    throw error
  }
}
