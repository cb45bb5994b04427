/**
 * EventLog: the port for the ordered, partitioned, replayable store of events. Two adapters hold one contract
 * (tests/contract/log.ts): embedded (SQLite, in the process) and Kafka.
 */

/** Where a record stands. */
export interface Position {
  topic: string
  partition: number
  /** 0, 1, 2 … within the partition. */
  offset: number
}

export interface NewRecord {
  topic: string
  key: string
  /** Confluent wire format: 0, schema id (4 bytes, big endian), Avro. The log itself does not look inside. */
  value: Uint8Array
  headers?: Record<string, string>
  /** ms since the epoch; the log's clock unless given. */
  timestamp?: number
}

export interface LogRecord extends Position {
  key: string
  value: Buffer
  headers: Record<string, string>
  timestamp: number
}

export interface TopicPartition {
  topic: string
  partition: number
}

export interface TopicSpec {
  name: string
  partitions: number
  retention: { maxAgeMs: number | null; maxBytes: number | null }
  /** The log may drop a record once a later one has its key, in its own time: Kafka does, the embedded log keeps all. */
  compacted?: boolean
}

export interface TopicInfo extends TopicSpec {
  /** For each partition: offset of the oldest kept record, and the offset that the next one will get. */
  bounds: { partition: number; low: number; high: number }[]
}

/** A step from the topics as they are to the topics as they are asked for. */
export type TopicChange =
  | { kind: 'create'; topic: string; partitions: number }
  | { kind: 'add-partitions'; topic: string; from: number; to: number }
  /** `loses`: lets the log delete records that it keeps now; done where it is asked for alone. */
  | { kind: 'configure'; topic: string; name: string; from: string; to: string; loses: boolean }
  /** Said, never done: the log would lose records or their order, or the brokers' operator has to do it. */
  | { kind: 'refused'; topic: string; reason: string }

export type StartFrom = 'earliest' | 'latest'

export interface SubscribeOptions {
  /** Members of a group share its partitions. Without a group: every partition, no commits (a tail). */
  group?: string
  topics: readonly string[]
  /** Where to begin where the group (or tail) has no position. */
  from: StartFrom
  /** A tail may begin at these positions instead. A position below the oldest kept record begins at that record. */
  positions?: readonly Position[]
  /** Most records handed over in one call; default 500. */
  maxRecords?: number
}

/** Offsets `from` up to, and without, `to`. */
export interface Gap extends TopicPartition {
  from: number
  to: number
}

/** What a subscriber does. Calls never overlap. */
export interface Subscriber {
  /** Records of one partition, in order, each exactly once in this assignment. The next call waits for the promise. */
  records(records: readonly LogRecord[]): Promise<void> | void
  assigned?(partitions: readonly TopicPartition[]): Promise<void> | void
  /**
   * Finish and commit what is under way; the partitions go when the promise resolves (or the adapter's deadline passes).
   * @param lost they have gone already: others read again what is under way, so that finishing it would only do it twice
   */
  revoked?(partitions: readonly TopicPartition[], lost?: boolean): Promise<void> | void
  /** Retention removed records of an assigned partition before they were delivered: they are never. */
  missed?(gap: Gap): void
  /** The subscription cannot go on; the log retries what can be retried by itself. */
  failed?(error: Error): void
}

export interface Subscription {
  /** Stops delivery from these partitions until resumed. */
  pause(partitions: readonly TopicPartition[]): void
  resume(partitions: readonly TopicPartition[]): void
  /**
   * Keeps, for the group, the offset of the next record to read. Durable when it resolves. Partitions that are no longer
   * assigned to this member are left out silently: their new owner decides.
   */
  commit(next: readonly Position[]): Promise<void>
  assignment(): readonly TopicPartition[]
  close(): Promise<void>
}

export interface Lag extends TopicPartition {
  committed: number
  high: number
  lag: number
}

export interface EventLog {
  /** Makes topics that are missing; never shrinks or deletes. */
  ensureTopics(topics: readonly TopicSpec[]): Promise<void>
  topics(): Promise<TopicInfo[]>
  /** All durable, in order within a key, when it resolves; none said to be there otherwise. Positions as the records. */
  append(records: readonly NewRecord[]): Promise<Position[]>
  subscribe(options: SubscribeOptions, subscriber: Subscriber): Promise<Subscription>
  /** Up to `max` records from `from` on, without a group. Empty at the end. */
  read(from: Position, max: number): Promise<LogRecord[]>
  /** For each partition of the topic: the first offset whose timestamp is at or after `time`; the high bound if none. */
  offsetsAt(topic: string, time: number): Promise<Position[]>
  lag(group: string): Promise<Lag[]>
  groups(): Promise<string[]>
  /** Sets a group's committed offsets; only while it has no members. */
  seek(group: string, next: readonly Position[]): Promise<void>
  /** Ids of Avro schemas, as a Confluent registry gives them: one id a schema text. */
  schemaId(subject: string, schema: string): Promise<number>
  /** @throws RaylogError bad-record when the id is unknown */
  schemaText(id: number): Promise<string>
  check(): Promise<void>
  close(): Promise<void>
}
