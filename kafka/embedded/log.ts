/** The embedded EventLog: SQLite in a thread of this process. See kafka/log.ts for the contract. */
import { join } from 'node:path'
import { type Clock, systemClock } from '../../monitoring/clock.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { openThread, type SqliteThread } from '../../storage/sqlite/thread.ts'
import type { EventLog, LogRecord, NewRecord, Position } from '../log.ts'
import { LogState } from './state.ts'
import { createSubscriptions } from './subscriptions.ts'
import { type Hello, type LogOperations, type PackedNew, pack, unpack } from './wire.ts'

export interface EmbeddedLogOptions {
  /** Made if it is missing; the log is `log.sqlite` in it. */
  folder: string
  clock?: Clock
  /** Time for a member of a group to let go of partitions before they go to another, ms. Default 60 s. */
  revokeMs?: number
  /** Between two looks for records that need not be kept any more, ms; null: only when `trim` is called. Default 60 s. */
  trimEveryMs?: number | null
  /** Largest key and value of a record, bytes. Default 16 MiB. */
  maxRecordBytes?: number
}

export interface EmbeddedLog extends EventLog {
  /** Removes what the topics need not keep at this time. @returns how many records went */
  trim(): Promise<number>
  /** Transactions that were committed since the file was opened. */
  commits(): number
  /** Ends the database thread as a fault would. It is opened again by what is asked next. */
  killThread(): Promise<void>
}

/** Bounds of one read, bytes: what is read at once is held in memory. */
const maxReadBytes = 4 * 1024 * 1024
/** Requests above this are not kept in memory for subscribers. */
const maxRecentBytes = 256 * 1024

/** The caller closes it. @throws RaylogError data-in-use, store-full, log-unavailable */
export async function openEmbeddedLog(options: EmbeddedLogOptions): Promise<EmbeddedLog> {
  const { folder, clock = systemClock, revokeMs = 60_000, trimEveryMs = 60_000 } = options
  const maxRecordBytes = options.maxRecordBytes ?? 16 * 1024 * 1024
  const state = new LogState()
  const closed = new AbortController()
  const schemaIds = new Map<string, Promise<number>>()
  const schemaTexts = new Map<number, string>()
  const subscriptions = createSubscriptions({ state, clock, revokeMs, fetch: readSome, commit })
  const thread: SqliteThread<LogOperations> = await openThread<LogOperations>({
    module: new URL('./worker.ts', import.meta.url),
    data: { file: join(folder, 'log.sqlite') },
    unavailable: 'log-unavailable',
    opened(hello: Hello) {
      state.hello(hello)
      subscriptions.wake() // a thread that died may have committed what it could not answer
    },
  })

  async function readSome(from: Position, max: number): Promise<LogRecord[]> {
    return unpack(await thread.call('read', { ...from, max, maxBytes: maxReadBytes }), from)
  }

  async function commit(group: string, next: readonly Position[]): Promise<void> {
    await thread.call('commit', { group, next })
    state.committed(group, next)
  }

  /** Makes what was appended visible to subscribers, from memory. */
  function appended(records: readonly NewRecord[], packed: PackedNew, positions: readonly Position[]): void {
    const keep = packed.bytes.byteLength <= maxRecentBytes
    let at = 0
    records.forEach(({ key, headers }, index) => {
      const position = positions[index]
      const valueAt = at + (packed.keySizes[index] ?? 0)
      at = valueAt + (packed.valueSizes[index] ?? 0)
      const part = position && state.part(position)
      if (!part) return
      part.high = Math.max(part.high, position.offset + 1)
      if (!keep) return
      const value = Buffer.from(packed.bytes.buffer, packed.bytes.byteOffset + valueAt, at - valueAt)
      part.recent.push({ ...position, key, value, headers: { ...headers }, timestamp: packed.timestamps[index] ?? 0 })
    })
    subscriptions.wake(packed.topics)
  }

  function refuse({ topic, key, value, timestamp }: NewRecord): void {
    state.parts(topic)
    const bytes = value.byteLength + key.length
    if (bytes > maxRecordBytes)
      throw new RaylogError('too-large', `a record of ${bytes} bytes for ${topic}; maxRecordBytes is ${maxRecordBytes}`)
    if (timestamp !== undefined && !(Number.isSafeInteger(timestamp) && timestamp >= 0))
      throw new RaylogError('bad-request', `a record for ${topic} has a timestamp that is not ms since the epoch`)
  }

  async function trim(): Promise<number> {
    let total = 0
    for (const topic of state.names()) {
      let removed: number
      do {
        const trimmed = await thread.call('trim', { topic, now: clock.now() })
        for (const { low, ...of } of trimmed.lows) {
          const part = state.part(of)
          if (part) part.low = Math.max(part.low, low)
        }
        removed = trimmed.removed
        total += removed
      } while (removed > 0 && !closed.signal.aborted)
    }
    return total
  }

  async function keepTrimming(everyMs: number): Promise<void> {
    while (!closed.signal.aborted) {
      try {
        await clock.sleep(everyMs, closed.signal)
        await trim()
      } catch (error) {
        // Closed, full or away: `check` and the appends tell of it, and the next round comes.
        if (closed.signal.aborted) return
        if (!(error instanceof RaylogError)) throw error
      }
    }
  }

  if (trimEveryMs !== null) void keepTrimming(trimEveryMs)

  return {
    trim,
    commits: thread.commits,
    killThread: thread.kill,
    async ensureTopics(topics) {
      for (const { name, partitions } of topics) {
        if (!Number.isInteger(partitions) || partitions < 1)
          throw new RaylogError('bad-request', `topic ${name}: ${partitions} is not a number of partitions`)
      }
      state.topicsAre(await thread.call('ensureTopics', topics))
      subscriptions.refresh()
    },
    topics: async () => state.infos(),
    async append(records) {
      if (records.length === 0) return []
      records.forEach(refuse)
      const packed = pack(records, clock.now())
      const { partitions, offsets } = await thread.call('append', packed, packed.bytes.byteLength + 256)
      const positions = records.map(({ topic }, index) => ({
        topic,
        partition: partitions[index] ?? 0,
        offset: offsets[index] ?? 0,
      }))
      appended(records, packed, positions)
      return positions
    },
    subscribe: (subscribeOptions, subscriber) => subscriptions.open(subscribeOptions, subscriber),
    read: (from, max) => readSome(from, Math.min(Math.max(Math.trunc(max), 0), 100_000)),
    offsetsAt: (topic, time) => thread.call('offsetsAt', { topic, time }),
    async lag(group) {
      return state.offsets(group).map(({ topic, partition, offset }) => {
        const { low, high } = state.part({ topic, partition }) ?? { low: 0, high: 0 }
        return { topic, partition, committed: offset, high, lag: Math.max(0, high - Math.max(offset, low)) }
      })
    },
    groups: async () => state.groups(),
    async seek(group, next) {
      if (subscriptions.hasMembers(group))
        throw new RaylogError('bad-request', `group ${group} has members; stop them before it is moved`)
      for (const position of next) {
        if (!state.part(position) || !Number.isSafeInteger(position.offset) || position.offset < 0)
          throw new RaylogError('bad-request', `no position ${position.topic}/${position.partition}/${position.offset}`)
      }
      await commit(group, next)
    },
    schemaId(_subject, schema) {
      const known = schemaIds.get(schema)
      if (known) return known
      const asked = thread.call('schemaId', schema)
      schemaIds.set(schema, asked)
      asked.catch(() => schemaIds.delete(schema)) // the caller hears of it; the next one asks again
      return asked
    },
    async schemaText(id) {
      const text = schemaTexts.get(id) ?? (await thread.call('schemaText', id))
      schemaTexts.set(id, text)
      return text
    },
    check: () => thread.call('check', undefined),
    async close() {
      closed.abort(new RaylogError('stopping', 'the log is closed'))
      subscriptions.end()
      await thread.close()
    },
  }
}
