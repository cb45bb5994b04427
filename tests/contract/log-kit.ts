/** What the log contract's tests share. */
import { randomUUID } from 'node:crypto'
import { vi } from 'vitest'
import type {
  EventLog,
  LogRecord,
  NewRecord,
  SubscribeOptions,
  Subscriber,
  Subscription,
  TopicPartition,
} from '../../kafka/log.ts'

export interface Opened {
  log: EventLog
  /** Ends the process of the log as a crash would (nobody is told) and opens it again on the same data. */
  reopen(): Promise<EventLog>
  /** Removes the records of partition 0 below `before`, which are those of 1970, as retention does. */
  forget(topic: string, before: number): Promise<void>
  close(): Promise<void>
}

/** Waits for a condition. Generous: an adapter may need seconds to form a group. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  await vi.waitFor(
    async () => {
      if (!(await condition())) throw new Error(`not in time: ${what}`)
    },
    { timeout: 25_000, interval: 5 },
  )
}

/** Nobody else's topic or group: an adapter may keep what earlier tests made. */
export const unique = (prefix: string): string => `${prefix}.${randomUUID().slice(0, 8)}`

export async function newTopic(log: EventLog, partitions = 3): Promise<string> {
  const name = unique('contract')
  await log.ensureTopics([{ name, partitions, retention: { maxAgeMs: null, maxBytes: null } }])
  return name
}

/** Record number `n`, which says so in its value. */
export const numbered = (topic: string, n: number, key = `key-${n % 7}`): NewRecord => ({
  topic,
  key,
  value: Buffer.from(String(n)),
})
export const numberOf = ({ value }: LogRecord): number => Number(value.toString())
export const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, n) => from + n)
export const ascending = (numbers: readonly number[]): number[] => numbers.toSorted((a, b) => a - b)
export const placeOf = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`

/** A subscriber that keeps what it gets. */
export interface Collector extends Subscription {
  records: LogRecord[]
  numbers(): number[]
  /** Commits all that it has got. */
  commitAll(): Promise<void>
  /** Calls of the subscriber that overlapped: must stay 0. */
  overlaps(): number
}

export async function collect(
  log: EventLog,
  options: SubscribeOptions,
  subscriber: Partial<Subscriber> = {},
): Promise<Collector> {
  const records: LogRecord[] = []
  let calls = 0
  let overlaps = 0
  async function alone(call: () => Promise<void> | void): Promise<void> {
    if (calls > 0) overlaps += 1
    calls += 1
    await Promise.resolve()
    await call()
    calls -= 1
  }
  const subscription = await log.subscribe(options, {
    records: given =>
      alone(async () => {
        records.push(...given)
        await subscriber.records?.(given)
      }),
    assigned: partitions => alone(() => subscriber.assigned?.(partitions)),
    revoked: partitions => alone(() => subscriber.revoked?.(partitions)),
    missed: gap => subscriber.missed?.(gap),
    failed: error => subscriber.failed?.(error),
  })
  return {
    pause: partitions => subscription.pause(partitions),
    resume: partitions => subscription.resume(partitions),
    commit: next => subscription.commit(next),
    assignment: () => subscription.assignment(),
    close: () => subscription.close(),
    records,
    numbers: () => records.map(numberOf),
    overlaps: () => overlaps,
    async commitAll() {
      const next = new Map(records.map(record => [placeOf(record), { ...record, offset: record.offset + 1 }]))
      await subscription.commit(
        [...next.values()].map(({ topic, partition, offset }) => ({ topic, partition, offset })),
      )
    },
  }
}
