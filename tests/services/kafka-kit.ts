/** What the tests of the log on real brokers share: settings, a sender that repeats until it hears "appended", a check. */
import { setTimeout as wait } from 'node:timers/promises'
import { Kafka, logLevel } from 'kafkajs'
import pino from 'pino'
import { type KafkaLog, type KafkaSettings, openKafkaLog } from '../../kafka/kafkajs/log.ts'
import type { EventLog, NewRecord, Position } from '../../kafka/log.ts'
import { systemClock } from '../../monitoring/clock.ts'
import { until } from '../harness/until.ts'
import type { Kafka as Brokers } from './servers/kafka.ts'

export const quiet = pino({ level: process.env.RAYLOG_TEST_LOG ?? 'silent' })

export function settingsFor({ brokers }: Pick<Brokers, 'brokers'>, over: Partial<KafkaSettings> = {}): KafkaSettings {
  return {
    brokers,
    clientId: 'tests',
    ssl: false,
    sasl: null,
    replication: brokers.length,
    maxRecordBytes: 4_000_000,
    // Most of these tests need no schemas; nobody listens there.
    registry: { url: 'http://127.0.0.1:9', auth: null },
    sessionTimeoutMs: 6_000,
    heartbeatMs: 300,
    rebalanceTimeoutMs: 20_000,
    ...over,
  }
}

export const openLog = (kafka: Pick<Brokers, 'brokers'>, over: Partial<KafkaSettings> = {}): Promise<KafkaLog> =>
  openKafkaLog({ settings: settingsFor(kafka, over), clock: systemClock, logger: quiet })

export interface Load {
  /** What was said to be appended: where, and which key. */
  acked: Map<number, Position & { key: string }>
  failures(): number
  /** Between two answers, ms. */
  longestGapMs(): number
  /** Ends when everything that was begun is appended. */
  stop(): Promise<void>
}

interface Lane {
  next: NewRecord | undefined
  busy: boolean
}

/** Appends `perSecond` records, each again until it is appended, one at a time for each key; and now and then a burst. */
export function startLoad(log: EventLog, topic: string, { perSecond = 200, keys = 40, burst = 0 } = {}): Load {
  const acked: Load['acked'] = new Map()
  const lanes: Lane[] = Array.from({ length: keys }, () => ({ next: undefined, busy: false }))
  const working = new Set<Promise<void>>()
  let counter = 0
  let failures = 0
  let longest = 0
  let lastAnswer = Date.now()
  let stopped = false

  const record = (n: number, key: string): NewRecord => ({ topic, key, value: Buffer.from(String(n)) })

  async function appendAll(records: readonly NewRecord[], numbers: readonly number[]): Promise<void> {
    for (;;) {
      try {
        const positions = await log.append(records)
        longest = Math.max(longest, Date.now() - lastAnswer)
        lastAnswer = Date.now()
        for (const [index, position] of positions.entries())
          acked.set(numbers[index] ?? -1, { ...position, key: records[index]?.key ?? '' })
        return
      } catch {
        failures++
        await wait(20)
      }
    }
  }

  function track(work: Promise<void>): void {
    working.add(work)
    void work.finally(() => working.delete(work))
  }

  async function feed(): Promise<void> {
    let due = Date.now()
    let sinceBurst = 0
    let turn = 0
    while (!stopped) {
      due += 10
      await wait(Math.max(0, due - Date.now()))
      for (let i = 0; i < perSecond / 100; i++) {
        // In turn, so that every partition gets some.
        const place = lanes.findIndex((_, at) => !lanes[(turn + at) % lanes.length]?.busy)
        const lane = place < 0 ? undefined : lanes[(turn + place) % lanes.length]
        if (!lane) break
        turn = (turn + place + 1) % lanes.length
        const n = counter++
        lane.busy = true
        track(
          appendAll([record(n, `key-${lanes.indexOf(lane)}`)], [n]).then(() => {
            lane.busy = false
          }),
        )
      }
      if (burst > 0 && ++sinceBurst === 100) {
        sinceBurst = 0
        const numbers = Array.from({ length: burst }, () => counter++)
        track(appendAll(numbers.map(n => record(n, `burst-${n}`)), numbers)) // biome-ignore format: one thought
      }
    }
    while (working.size > 0) await Promise.all(working)
  }

  const feeding = feed()
  return {
    acked,
    failures: () => failures,
    longestGapMs: () => longest,
    async stop() {
      stopped = true
      await feeding
    },
  }
}

export interface Verdict {
  lost: number[]
  misplaced: number[]
  disordered: string[]
  duplicates: number
  total: number
}

/** Reads the whole topic and compares it with what was said to be there. */
export async function verify(log: EventLog, topic: string, acked: Load['acked']): Promise<Verdict> {
  const info = (await log.topics()).find(({ name }) => name === topic)
  const at = new Map<string, number>()
  const seen = new Set<number>()
  const lastOf = new Map<string, number>()
  const disordered: string[] = []
  let total = 0
  for (const { partition, low, high } of info?.bounds ?? []) {
    for (let offset = low; offset < high; ) {
      const records = await log.read({ topic, partition, offset }, 5_000)
      for (const { key, value, ...where } of records) {
        const n = Number(value.toString())
        total++
        seen.add(n)
        at.set(`${partition}/${where.offset}`, n)
        // A repeated one stands before the next of its key, which was not sent before.
        if (n < (lastOf.get(key) ?? -1)) disordered.push(`${key}: ${n} after ${lastOf.get(key)}`)
        lastOf.set(key, n)
      }
      const last = records.at(-1)
      if (!last) throw new Error(`${topic}/${partition} cannot be read at ${offset} of ${high}`)
      offset = last.offset + 1
    }
  }
  const numbers = [...acked.keys()]
  return {
    lost: numbers.filter(n => !seen.has(n)),
    misplaced: numbers.filter(n => at.get(`${acked.get(n)?.partition}/${acked.get(n)?.offset}`) !== n),
    disordered,
    duplicates: total - seen.size,
    total,
  }
}

/** Waits until every copy of every partition follows its leader. Asked through the bare client. */
export async function inSync(brokers: readonly string[], topic: string, copies: number): Promise<void> {
  const admin = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  try {
    await until(
      `${topic} has ${copies} copies in sync`,
      async () => {
        try {
          const { topics } = await admin.fetchTopicMetadata({ topics: [topic, '__consumer_offsets'] })
          return topics.every(({ partitions }) =>
            partitions.every(({ isr, leader }) => isr.length === copies && leader >= 0),
          )
        } catch (error) {
          // While a broker starts, a topic may be without a leader.
          if (error instanceof Error) return false
          throw error
        }
      },
      { deadlineMs: 120_000, everyMs: 100 },
    )
  } finally {
    await admin.disconnect()
  }
}

export const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`
