/**
 * A log moves from the embedded adapter to Kafka and back, by the commands: nothing lost, nothing doubled, each key in its
 * order; also where the import is killed in the middle and run again.
 */
import { execFile, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import pino from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createCodec } from '../../../kafka/codec.ts'
import { openEmbeddedLog } from '../../../kafka/embedded/log.ts'
import { openKafkaLog } from '../../../kafka/kafkajs/log.ts'
import type { EventLog } from '../../../kafka/log.ts'
import { systemClock } from '../../../monitoring/clock.ts'
import { allTopics, topics } from '../../../schemas/topics.ts'
import { type Kafka, startKafka } from '../servers/kafka.ts'
import { type Registry, startRegistry } from '../servers/registry.ts'

const root = resolve(import.meta.dirname, '../../..')
const node = join(root, 'node_modules/.bin/node')
const folder = mkdtempSync(join(tmpdir(), 'raylog-move-'))
const count = 30_000
let filledAt = 0
let kafka: Kafka
let registry: Registry

beforeAll(async () => {
  ;[kafka, registry] = await Promise.all([startKafka(), startRegistry()])
  await fill(join(folder, 'source'))
}, 180_000)
afterAll(async () => {
  await kafka?.[Symbol.asyncDispose]()
  await registry?.[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true })
})

/** Feedback events of a thousand studies, half of them handled by a stage. */
async function fill(data: string): Promise<void> {
  filledAt = Date.now()
  const log = await openEmbeddedLog({ folder: join(data, 'log') })
  const codec = createCodec(log)
  await log.ensureTopics(
    allTopics.map(({ name, partitions }) => ({ name, partitions, retention: { maxAgeMs: null, maxBytes: null } })),
  )
  const records = await Promise.all(
    Array.from({ length: count }, async (_, n) => ({
      topic: topics.feedback.name,
      key: `study-${n % 1_000}`,
      timestamp: filledAt - count + n,
      headers: { traceparent: `00-${n}` },
      value: await codec.encode(topics.feedback, {
        id: `fb-${n}`,
        study: `study-${n % 1_000}`,
        instance: `in-${n}`,
        prediction: `pr-${n}`,
        verdict: 'agreed',
        label: null,
        actor: 'test',
        at: n,
      }),
    })),
  )
  for (let at = 0; at < count; at += 5_000) await log.append(records.slice(at, at + 5_000))
  const feedback = (await log.topics()).find(({ name }) => name === topics.feedback.name)
  const next = (feedback?.bounds ?? []).map(({ partition, high }) => ({
    topic: topics.feedback.name,
    partition,
    offset: Math.floor(high / 2),
  }))
  await log.seek('persist', next)
  await log.close()
}

const embedded = (name: string) => ['--data', join(folder, name), '--set', 'log.retentionDays=null']
const onKafka = () => [
  ...embedded('kafka'),
  ...[
    'mode=distributed',
    `kafka.brokers=[${kafka.brokers.join(',')}]`,
    `kafka.registry.url=${registry.url}`,
    'mongo.url=mongodb://127.0.0.1:1',
    's3={endpoint: "http://127.0.0.1:1", bucket: none, accessKey: none, secretKey: none}',
  ].flatMap(setting => ['--set', setting]),
]

const raylog = async (...args: string[]): Promise<string> =>
  (await promisify(execFile)(node, [join(root, 'cli/main.ts'), ...args], { cwd: root })).stdout

/** Starts a command and ends it with SIGKILL once it has told of its progress. @returns whether it was still at work */
async function killedMidway(...args: string[]): Promise<boolean> {
  const child = spawn(node, [join(root, 'cli/main.ts'), ...args], { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] })
  const exited = new Promise<NodeJS.Signals | null>(done => child.once('exit', (_, signal) => done(signal)))
  child.stderr.once('data', () => child.kill('SIGKILL'))
  return (await exited) === 'SIGKILL'
}

interface Said {
  /** By key: what was said, in order. */
  lines: Map<string, string[]>
  records: number
  lag: number
}

async function said(log: EventLog): Promise<Said> {
  const codec = createCodec(log)
  const lines = new Map<string, string[]>()
  let records = 0
  for (const { name, bounds } of await log.topics()) {
    const topic = allTopics.find(one => one.name === name)
    for (const { partition, low, high } of bounds) {
      for (let offset = low; offset < high; ) {
        const read = await log.read({ topic: name, partition, offset }, 5_000)
        for (const record of read) {
          const event = topic ? await codec.decode(topic, record) : null
          const line = JSON.stringify([name, record.timestamp, record.headers, event])
          lines.set(record.key, [...(lines.get(record.key) ?? []), line])
        }
        records += read.length
        offset += read.length
      }
    }
  }
  const lag = (await log.lag('persist')).reduce((sum, one) => sum + one.lag, 0)
  return { lines, records, lag }
}

async function saidIn(name: string): Promise<Said> {
  const log = await openEmbeddedLog({ folder: join(folder, name, 'log'), trimEveryMs: null })
  try {
    return await said(log)
  } finally {
    await log.close()
  }
}

async function saidOnKafka(): Promise<Said> {
  const log = await openKafkaLog({
    settings: {
      brokers: kafka.brokers,
      clientId: 'test',
      ssl: false,
      sasl: null,
      replication: 1,
      maxRecordBytes: 8_000_000,
      registry: { url: registry.url, auth: null },
      sessionTimeoutMs: 6_000,
      heartbeatMs: 500,
      rebalanceTimeoutMs: 20_000,
    },
    clock: systemClock,
    logger: pino({ level: 'silent' }),
  })
  try {
    return await said(log)
  } finally {
    await log.close()
  }
}

describe('a log', () => {
  const first = join(folder, 'first.raylog')
  const second = join(folder, 'second.raylog')

  it('moves to Kafka, its import killed in the middle and run again', async () => {
    const before = await saidIn('source')
    expect(before.records).toBe(count)
    expect(await raylog(...embedded('source'), 'export', first)).toContain(`${count} records`)
    expect(await raylog(...onKafka(), 'topics', 'apply')).toContain('made')
    expect(await raylog(...onKafka(), 'topics', 'plan')).toContain('as the settings say')
    let killed = 0
    for (let n = 0; n < 3; n++) if (await killedMidway(...onKafka(), 'import', first)) killed += 1
    expect(killed).toBeGreaterThan(0)
    expect(await raylog(...onKafka(), 'import', first)).toMatch(/30000 records are on the log; \d+ of them were there/)
    expect(await saidOnKafka()).toEqual(before)
  })

  it('is refused where it would be doubled', async () => {
    await raylog(...embedded('other'), 'import', first)
    const part = join(folder, 'part.raylog')
    await raylog(...embedded('source'), 'export', part, '--from', String(filledAt - 10_000))
    await expect(raylog(...embedded('other'), 'import', part)).rejects.toThrow(/does not hold what the file has/)
  })

  it('moves back, with everything as it was', async () => {
    await raylog(...onKafka(), 'export', second)
    await killedMidway(...embedded('back'), 'import', second)
    await raylog(...embedded('back'), 'import', second)
    expect(await saidIn('back')).toEqual(await saidIn('source'))
    const shown = await raylog(...onKafka(), 'topics')
    expect(shown).toMatch(/models.feedback.v1\s+\d+\s+30000\s+persist 15/)
  })
})
