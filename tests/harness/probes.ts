/** A stage of the test's own under the real runner, on an embedded log. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import { afterEach, beforeEach, expect, vi } from 'vitest'
import { z } from 'zod'
import { createCodec } from '../../kafka/codec.ts'
import { compile } from '../../kafka/compile.ts'
import { type EmbeddedLog, openEmbeddedLog } from '../../kafka/embedded/log.ts'
import type { Platform, Ports } from '../../kafka/ports.ts'
import { type Running, run } from '../../kafka/runner.ts'
import { type AnyStage, defineStage, type HandleContext } from '../../kafka/stage.ts'
import { systemClock } from '../../monitoring/clock.ts'
import { createMetrics } from '../../monitoring/metrics.ts'
import { type AuditEntry, type Feedback, type Parked, topics } from '../../schemas/topics.ts'

type Handler = (event: Feedback, context: HandleContext<typeof topics.audit>) => Promise<void> | void

type ManyHandler = (these: { event: Feedback; context: HandleContext<typeof topics.audit> }[]) => Promise<void>

/** Reads feedback, may write audit entries: two topics that are easy to make events of. */
export function stageOf(
  handler: Handler,
  options: { order?: 'key' | 'none'; concurrency?: number; many?: ManyHandler } = {},
): AnyStage {
  const { many } = options
  return defineStage({
    name: 'probe',
    role: 'processor',
    summary: 'for tests',
    reads: [topics.feedback],
    writes: [topics.audit],
    needs: ['log'],
    order: options.order ?? 'key',
    config: z.strictObject({}),
    together: many ? [topics.feedback] : [],
    concurrency: () => options.concurrency ?? 8,
    open: async () => ({
      handle: ({ event }, context) => handler(event, context),
      handleMany: async these => many?.(these.map(({ read, context }) => ({ event: read.event, context }))),
    }),
  })
}

export const feedback = (n: number, study = `st_${n % 3}`): Feedback => ({
  id: `fb_${n}`,
  study,
  instance: 'in_1',
  prediction: 'pr_1',
  verdict: 'agreed',
  label: null,
  actor: 'test',
  at: n,
})

export const audit = (id: string): AuditEntry => ({
  id,
  actor: 'probe',
  action: 'saw',
  object: id,
  outcome: 'success',
  address: '',
  detail: {},
  at: 0,
})

export const platform: Platform = {
  site: 'main',
  clock: systemClock,
  logger: pino({ level: 'silent' }),
  dataFolder: '',
  showNames: false,
  researchUseOnly: true,
  network: { peers: [], dicomTls: null },
}

/** To be called once in a file: each test has a log of its own, and what runs on it is stopped after it. */
export function probesPerTest() {
  let folder: string
  let log: EmbeddedLog
  let running: Running | undefined

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'raylog-runner-'))
    log = await openEmbeddedLog({ folder })
  })
  afterEach(async () => {
    await running?.stop()
    running = undefined
    await log.close()
    rmSync(folder, { recursive: true })
  })

  const ports = (): Ports => {
    const codec = createCodec(log)
    // The stages of these tests need the log alone; what they do not declare they are not given.
    return { log, codec, metrics: createMetrics() } as unknown as Ports
  }

  async function start(stage: AnyStage, settings: Record<string, unknown> = {}): Promise<Running> {
    running = await run(
      compile([stage], { runner: { backoffMs: 1, maxBackoffMs: 5, drainMs: 500, ...settings } }),
      ports(),
      platform,
    )
    return running
  }

  async function append(...events: Feedback[]): Promise<void> {
    const codec = createCodec(log)
    await log.ensureTopics([
      { name: topics.feedback.name, partitions: 1, retention: { maxAgeMs: null, maxBytes: null } },
    ])
    for (const event of events)
      await log.append([
        { topic: topics.feedback.name, key: event.study, value: await codec.encode(topics.feedback, event) },
      ])
  }

  /** Everything on a topic, decoded. */
  async function all<T extends typeof topics.audit | typeof topics.parked>(topic: T) {
    const codec = createCodec(log)
    const records = await log.read({ topic: topic.name, partition: 0, offset: 0 }, 1_000)
    return Promise.all(records.map(record => codec.decode(topic, record)))
  }

  const parkedEvents = (): Promise<Parked[]> => all(topics.parked)
  const lagIsZero = () =>
    vi.waitFor(async () => {
      const lags = await log.lag('probe')
      expect(lags.length).toBeGreaterThan(0)
      expect(lags.reduce((sum, { lag }) => sum + lag, 0)).toBe(0)
    }, 25_000)

  return {
    ...{ ports, start, append, all, parkedEvents, lagIsZero },
    get log() {
      return log
    },
    /** What is stopped after the test. */
    get running() {
      return running
    },
    set running(other: Running | undefined) {
      running = other
    },
  }
}
