/**
 * The tables of the embedded log. One table a partition, with the offset as its rowid: an append goes to the end of a
 * B-tree and a read is a walk along it, however many records there are.
 *
 * `maxTime` is the largest timestamp up to and including the record. It never falls, so the first offset at or after a
 * time is found by halving, without an index.
 */

import { RaylogError } from '../../schemas/errors.ts'
import type { DatabaseSync, StatementSync } from '../../storage/sqlite/database.ts'
import type { TopicInfo, TopicPartition, TopicSpec } from '../log.ts'
import type { GroupOffset } from './wire.ts'

export interface Partition extends TopicPartition {
  id: number
  /** Offset of the oldest kept record. */
  low: number
  /** Offset that the next record gets. */
  high: number
  /** Size of the kept records: keys, values and headers. */
  bytes: number
  maxTime: number
  statements: PartitionStatements
}

export interface PartitionStatements {
  insert: StatementSync
  /** offset, timestamp, key, headers, value */
  read: StatementSync
  maxTime: StatementSync
  /** First offset from one on whose timestamp is at or after a time. */
  since: StatementSync
  /** offset, timestamp, size of the oldest records */
  oldest: StatementSync
  removeBelow: StatementSync
}

export interface TopicState extends TopicSpec {
  parts: Partition[]
}

const tables = `
  CREATE TABLE IF NOT EXISTS topics (
    name TEXT PRIMARY KEY, maxAgeMs INTEGER, maxBytes INTEGER
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS partitions (
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL, partition INTEGER NOT NULL,
    low INTEGER NOT NULL DEFAULT 0, high INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0, maxTime INTEGER NOT NULL DEFAULT 0,
    UNIQUE (topic, partition)
  );
  CREATE TABLE IF NOT EXISTS offsets (
    consumers TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL,
    PRIMARY KEY (consumers, topic, partition)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS schemas (id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT NULL UNIQUE);
  CREATE TABLE IF NOT EXISTS checks (id INTEGER PRIMARY KEY, count INTEGER NOT NULL);
`

export interface Tables {
  topic(name: string): TopicState
  partition(of: TopicPartition): Partition
  saveBounds(partition: Partition): void
  ensure(specs: readonly TopicSpec[]): void
  infos(): TopicInfo[]
  offsets(): GroupOffset[]
  /** Reads the state again, after a rollback. */
  reload(): void
}

export function openTables(db: DatabaseSync): Tables {
  db.exec(tables)
  const topics = new Map<string, TopicState>()
  const known = new Map<number, PartitionStatements>()
  const readTopics = db.prepare('SELECT name, maxAgeMs, maxBytes FROM topics')
  const readPartitions = db.prepare(
    'SELECT id, topic, partition, low, high, bytes, maxTime FROM partitions ORDER BY topic, partition',
  )
  const readOffsets = db.prepare('SELECT consumers, topic, partition, next FROM offsets')
  const save = db.prepare('UPDATE partitions SET low = ?, high = ?, bytes = ?, maxTime = ? WHERE id = ?')
  const addTopic = db.prepare(
    'INSERT INTO topics VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET maxAgeMs = excluded.maxAgeMs, maxBytes = excluded.maxBytes',
  )
  const addPartition = db.prepare('INSERT INTO partitions (topic, partition) VALUES (?, ?) RETURNING id')

  function reload(): void {
    topics.clear()
    for (const row of readTopics.all()) {
      const retention = { maxAgeMs: numberOrNull(row.maxAgeMs), maxBytes: numberOrNull(row.maxBytes) }
      topics.set(String(row.name), { name: String(row.name), partitions: 0, retention, parts: [] })
    }
    const alive = new Set<number>()
    for (const row of readPartitions.all()) {
      const topic = topics.get(String(row.topic))
      const id = Number(row.id)
      alive.add(id)
      const statements = known.get(id) ?? prepare(db, id)
      known.set(id, statements)
      topic?.parts.push({
        id,
        topic: String(row.topic),
        partition: Number(row.partition),
        low: Number(row.low),
        high: Number(row.high),
        bytes: Number(row.bytes),
        maxTime: Number(row.maxTime),
        statements,
      })
      if (topic) topic.partitions = topic.parts.length
    }
    // The table of a partition whose making was rolled back is gone, and so must be its statements.
    for (const id of known.keys()) if (!alive.has(id)) known.delete(id)
  }

  function topic(name: string): TopicState {
    const state = topics.get(name)
    if (!state) throw new RaylogError('not-found', `no topic ${name} on the log`)
    return state
  }

  reload()
  return {
    topic,
    reload,
    partition(of) {
      const partition = topic(of.topic).parts[of.partition]
      if (!partition) throw new RaylogError('not-found', `no partition ${of.partition} in topic ${of.topic}`)
      return partition
    },
    saveBounds({ id, low, high, bytes, maxTime }) {
      save.run(low, high, bytes, maxTime, id)
    },
    ensure(specs) {
      for (const { name, partitions, retention } of specs) {
        addTopic.run(name, retention.maxAgeMs, retention.maxBytes)
        const present = topics.get(name)?.partitions ?? 0
        for (let partition = present; partition < partitions; partition++) {
          const id = Number(addPartition.get(name, partition)?.id)
          db.exec(
            `CREATE TABLE records_${id} (offset INTEGER PRIMARY KEY, timestamp INTEGER NOT NULL,
             maxTime INTEGER NOT NULL, size INTEGER NOT NULL, key BLOB NOT NULL, headers TEXT, value BLOB NOT NULL)`,
          )
        }
      }
      reload()
    },
    infos() {
      return [...topics.values()].map(({ parts, ...spec }) => ({
        ...spec,
        bounds: parts.map(({ partition, low, high }) => ({ partition, low, high })),
      }))
    },
    offsets() {
      return readOffsets.all().map(row => ({
        group: String(row.consumers),
        topic: String(row.topic),
        partition: Number(row.partition),
        offset: Number(row.next),
      }))
    },
  }
}

function prepare(db: DatabaseSync, id: number): PartitionStatements {
  const table = `records_${id}`
  return {
    insert: db.prepare(`INSERT INTO ${table} VALUES (?, ?, ?, ?, ?, ?, ?)`),
    read: db.prepare(`SELECT timestamp, key, headers, value FROM ${table} WHERE offset >= ? ORDER BY offset LIMIT ?`),
    maxTime: db.prepare(`SELECT maxTime FROM ${table} WHERE offset = ?`),
    since: db.prepare(`SELECT offset FROM ${table} WHERE offset >= ? AND timestamp >= ? ORDER BY offset LIMIT 1`),
    oldest: db.prepare(`SELECT offset, timestamp, size FROM ${table} ORDER BY offset LIMIT ?`),
    removeBelow: db.prepare(`DELETE FROM ${table} WHERE offset < ?`),
  }
}

const numberOrNull = (value: unknown): number | null => (typeof value === 'number' ? value : null)
