import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { systemClock } from '../monitoring/clock.ts'
import { createHealth } from '../monitoring/health.ts'
import { createMetrics } from '../monitoring/metrics.ts'
import { RaylogError } from '../schemas/errors.ts'
import { onlyHeader } from '../schemas/topics/parked.ts'
import { type AuditEntry, type Feedback, type Parked, topics } from '../schemas/topics.ts'
import { createCodec } from './codec.ts'
import { compile } from './compile.ts'
import { type EmbeddedLog, openEmbeddedLog } from './embedded/log.ts'
import type { Platform, Ports } from './ports.ts'
import { type Running, run } from './runner.ts'
import { type AnyStage, defineStage, type HandleContext } from './stage.ts'

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

type Handler = (event: Feedback, context: HandleContext<typeof topics.audit>) => Promise<void> | void

/** Reads feedback, may write audit entries: two topics that are easy to make events of. */
function stageOf(handler: Handler, options: { order?: 'key' | 'none'; concurrency?: number } = {}): AnyStage {
  return defineStage({
    name: 'probe',
    role: 'processor',
    summary: 'for tests',
    reads: [topics.feedback],
    writes: [topics.audit],
    needs: ['log'],
    order: options.order ?? 'key',
    config: z.strictObject({}),
    concurrency: () => options.concurrency ?? 8,
    open: async () => ({ handle: ({ event }, context) => handler(event, context) }),
  })
}

const feedback = (n: number, study = `st_${n % 3}`): Feedback => ({
  id: `fb_${n}`,
  study,
  instance: 'in_1',
  prediction: 'pr_1',
  verdict: 'agreed',
  label: null,
  actor: 'test',
  at: n,
})

const audit = (id: string): AuditEntry => ({
  id,
  actor: 'probe',
  action: 'saw',
  object: id,
  outcome: 'success',
  address: '',
  detail: {},
  at: 0,
})

const ports = (): Ports => {
  const codec = createCodec(log)
  // The stages of these tests need the log alone; what they do not declare they are not given.
  return { log, codec, metrics: createMetrics() } as unknown as Ports
}

const platform: Platform = {
  site: 'main',
  clock: systemClock,
  logger: pino({ level: 'silent' }),
  dataFolder: '',
  showNames: false,
  researchUseOnly: true,
  network: { peers: [], dicomTls: null },
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
  await log.ensureTopics([{ name: topics.feedback.name, partitions: 1, retention: { maxAgeMs: null, maxBytes: null } }])
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
  }, 10_000)

describe('the runner', () => {
  it('appends what a handler emitted, and commits after it', async () => {
    await append(...[1, 2, 3].map(n => feedback(n)))
    await start(stageOf((event, { emit }) => emit(topics.audit, audit(event.id))))
    await lagIsZero()
    expect((await all(topics.audit)).map(({ id }) => id).sort()).toEqual(['fb_1', 'fb_2', 'fb_3'])
  })

  it('keeps the order of a key and works on other keys meanwhile', async () => {
    await append(...Array.from({ length: 30 }, (_, n) => feedback(n)))
    const seen: Feedback[] = []
    let held: (() => void) | undefined
    await start(
      stageOf(async event => {
        if (event.id === 'fb_0') await new Promise<void>(resolve => (held = resolve))
        seen.push(event)
      }),
    )
    await vi.waitFor(() => expect(seen).toHaveLength(20), 10_000)
    expect(seen.every(({ study }) => study !== 'st_0')).toBe(true)
    held?.()
    await lagIsZero()
    for (const study of ['st_0', 'st_1', 'st_2']) {
      const times = seen.filter(event => event.study === study).map(({ at }) => at)
      expect(times).toEqual(times.toSorted((a, b) => a - b))
    }
  })

  it('tries again what may pass, without what failed attempts emitted', async () => {
    await append(feedback(1))
    await start(
      stageOf((event, { attempt, emit }) => {
        emit(topics.audit, audit(`${event.id} attempt ${attempt}`))
        if (attempt < 3) throw new RaylogError('infer-failed', 'not yet')
      }),
    )
    await lagIsZero()
    expect((await all(topics.audit)).map(({ id }) => id)).toEqual(['fb_1 attempt 3'])
    expect(await log.topics().then(list => list.find(({ name }) => name === topics.parked.name)?.bounds[0]?.high)).toBe(
      0,
    )
  })

  it('parks what fails too often, with its cause, and the record as it was', async () => {
    await append(feedback(1), feedback(2))
    await start(
      stageOf(event => {
        if (event.id === 'fb_1') throw new RaylogError('infer-failed', 'never')
      }),
      { retries: 2 },
    )
    await lagIsZero()
    const [parked] = await parkedEvents()
    expect(parked).toMatchObject({
      stage: 'probe',
      code: 'infer-failed',
      message: 'never',
      attempts: 3,
      subject: 'fb_1',
    })
    const [original] = await log.read({ topic: topics.feedback.name, partition: 0, offset: 0 }, 1)
    expect(parked?.value).toEqual(original?.value)
  })

  it('parks a poison event at once and goes on with its neighbours', async () => {
    await append(...Array.from({ length: 10 }, (_, n) => feedback(n, 'same')))
    const seen: string[] = []
    await start(
      stageOf(event => {
        if (event.id === 'fb_4') throw new RaylogError('decode-failed', 'rubbish')
        seen.push(event.id)
      }),
    )
    await lagIsZero()
    expect(seen).toHaveLength(9)
    expect((await parkedEvents()).map(({ attempts }) => attempts)).toEqual([1])
  })

  it('parks a record that does not decode', async () => {
    await append(feedback(1))
    const unknownSchema = Buffer.from([0, 0, 0, 255, 255, 1, 2, 3])
    await log.append([{ topic: topics.feedback.name, key: 'x', value: unknownSchema }])
    await log.append([{ topic: topics.feedback.name, key: 'x', value: Buffer.from('not even that') }])
    await append(feedback(2))
    const seen: string[] = []
    await start(stageOf(event => void seen.push(event.id)))
    await lagIsZero()
    expect(seen.sort()).toEqual(['fb_1', 'fb_2'])
    expect((await parkedEvents()).map(({ code, subject }) => [code, subject])).toEqual([
      ['bad-record', null],
      ['bad-record', null],
    ])
  })

  it('waits out an outage however long it is, and parks nothing', async () => {
    await append(feedback(1))
    let attempts = 0
    await start(
      stageOf(() => {
        attempts++
        if (attempts < 30) throw new RaylogError('store-unavailable', 'away')
      }),
      { retries: 1 },
    )
    await lagIsZero()
    expect(attempts).toBe(30)
    expect(await parkedEvents()).toEqual([])
  })

  it('spends no retries on an outage: what fails after it still has all of them', async () => {
    await append(feedback(1))
    let attempts = 0
    await start(
      stageOf(() => {
        attempts++
        if (attempts <= 10) throw new RaylogError('store-unavailable', 'away')
        if (attempts <= 12) throw new RaylogError('worker-died', 'not yet')
      }),
      { retries: 2 },
    )
    await lagIsZero()
    expect(attempts).toBe(13)
    expect(await parkedEvents()).toEqual([])
  })

  it('waits for the log also where the parked event cannot even be encoded without it', async () => {
    await append(feedback(1))
    let away = 3
    const { schemaId } = log
    log.schemaId = (subject, schema) =>
      subject.startsWith(topics.parked.name) && away-- > 0
        ? Promise.reject(new RaylogError('log-unavailable', 'away'))
        : schemaId(subject, schema)
    await start(
      stageOf(() => {
        throw new RaylogError('decode-failed', 'rubbish')
      }),
    )
    await lagIsZero()
    expect((await parkedEvents()).map(({ code }) => code)).toEqual(['decode-failed'])
  })

  it('does not park a parked event again, which would go round for ever', async () => {
    await append(feedback(1))
    const reader: AnyStage = {
      ...stageOf(() => undefined),
      reads: [topics.feedback, topics.parked],
      open: async () => ({
        handle() {
          throw new RaylogError('too-large', 'for the store')
        },
      }),
    }
    await start(reader)
    await vi.waitFor(async () => {
      const lags = await log.lag('probe')
      expect(lags.filter(({ committed }) => committed > 0).map(({ topic }) => topic)).toHaveLength(2)
    })
    await lagIsZero()
    expect(await parkedEvents()).toHaveLength(1)
  })

  it('stops when a stage says that it cannot go on', async () => {
    await append(feedback(1))
    const { stopped } = await start(
      stageOf(() => {
        throw new RaylogError('config-invalid', 'nothing will help')
      }),
    )
    await expect(stopped).rejects.toThrow('nothing will help')
    running = undefined
  })

  it('gives again what was not committed when the process died', async () => {
    await append(...Array.from({ length: 6 }, (_, n) => feedback(n, `key ${n}`)))
    const first: string[] = []
    await start(
      stageOf(async (event, { signal }) => {
        first.push(event.id)
        // The third never finishes: nothing from it on may be committed.
        if (event.id === 'fb_2')
          await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
      }),
      { drainMs: 50 },
    )
    await vi.waitFor(() => expect(first).toHaveLength(6))
    await running?.stop()
    expect((await log.lag('probe'))[0]?.committed).toBe(2)
    const second: string[] = []
    await start(stageOf(event => void second.push(event.id)))
    await lagIsZero()
    expect(second.sort()).toEqual(['fb_2', 'fb_3', 'fb_4', 'fb_5'])
  })

  it('finishes what is under way when it stops, within its time', async () => {
    await append(feedback(1))
    const began = Promise.withResolvers<void>()
    const release = Promise.withResolvers<void>()
    await start(
      stageOf(async (event, { emit }) => {
        began.resolve()
        await release.promise
        emit(topics.audit, audit(event.id))
      }),
      { drainMs: 5_000 },
    )
    await began.promise
    const stopping = running?.stop()
    release.resolve()
    await stopping
    expect(await all(topics.audit)).toHaveLength(1)
    expect((await log.lag('probe')).every(({ lag }) => lag === 0)).toBe(true)
  })

  it('holds back the log when a stage is slow, and catches up', async () => {
    const events = Array.from({ length: 3_000 }, (_, n) => feedback(n, `key ${n}`))
    await append(feedback(-1))
    const codec = createCodec(log)
    await log.append(
      await Promise.all(
        events.map(async event => ({
          topic: topics.feedback.name,
          key: event.study,
          value: await codec.encode(topics.feedback, event),
        })),
      ),
    )
    const gate = Promise.withResolvers<void>()
    let done = 0
    const { pending } = await start(
      stageOf(async () => {
        await gate.promise
        done++
      }),
    )
    await vi.waitFor(() => expect(pending().probe).toBeGreaterThan(256))
    await new Promise(resolve => setImmediate(resolve))
    // One chunk above the high-water mark at most, not all 3,001.
    expect(pending().probe).toBeLessThan(1_200)
    gate.resolve()
    await lagIsZero()
    expect(done).toBe(3_001)
  })

  it('leaves a parked event that is tried again to the stage that parked it', async () => {
    await append(feedback(1))
    const codec = createCodec(log)
    for (const stage of ['another', 'probe']) {
      const value = await codec.encode(topics.feedback, feedback(stage === 'probe' ? 2 : 3))
      await log.append([{ topic: topics.feedback.name, key: 'k', value, headers: { [onlyHeader]: stage } }])
    }
    const seen: string[] = []
    await start(stageOf(event => void seen.push(event.id)))
    await lagIsZero()
    expect(seen.sort()).toEqual(['fb_1', 'fb_2'])
  })

  it('hands on tracing headers, and no others', async () => {
    const codec = createCodec(log)
    await append()
    const value = await codec.encode(topics.feedback, feedback(1))
    await log.append([
      { topic: topics.feedback.name, key: 'k', value, headers: { traceparent: '00-1-2-01', other: 'x' } },
    ])
    await start(stageOf((event, { emit }) => emit(topics.audit, audit(event.id))))
    await lagIsZero()
    const [record] = await log.read({ topic: topics.audit.name, partition: 0, offset: 0 }, 1)
    expect(record?.headers).toEqual({ traceparent: '00-1-2-01' })
  })

  it('does not start when a stage cannot go on before the last is fed', async () => {
    await append(feedback(1))
    const handled: string[] = []
    const closed: string[] = []
    const stage = (name: string, handle: () => void): AnyStage => ({
      ...stageOf(() => undefined),
      name,
      open: async () => ({ handle, close: () => void closed.push(name) }),
    })
    const tried = Promise.withResolvers<void>()
    const first = stage('first', () => {
      tried.resolve()
      throw new RaylogError('config-invalid', 'nothing will help')
    })
    const second = stage('second', () => void handled.push('second'))
    const { subscribe } = log
    log.subscribe = async (options, subscriber) => {
      const subscription = await subscribe(options, subscriber)
      // The first has failed by the time that the second is asked for.
      if (options.group === 'first') await tried.promise.then(() => new Promise(resolve => setImmediate(resolve)))
      return subscription
    }
    await expect(run(compile([first, second], {}), ports(), platform)).rejects.toThrow('nothing will help')
    expect(closed.sort()).toEqual(['first', 'second'])
    expect(handled).toEqual([])
  })

  it('says what retention removed before the stage had read it, and does not say it again', async () => {
    const topic = topics.feedback.name
    const old = await Promise.all([1, 2, 3].map(n => createCodec(log).encode(topics.feedback, feedback(n))))
    await append(feedback(0))
    await log.append(old.map(value => ({ topic, key: 'k', value, timestamp: 1 })))
    await log.seek('probe', [{ topic, partition: 0, offset: 1 }])
    await log.ensureTopics([{ name: topic, partitions: 1, retention: { maxAgeMs: 1, maxBytes: null } }])
    await vi.waitFor(async () => expect(await log.trim()).toBe(4))
    for (const times of [1, 0]) {
      const known = { ...ports(), health: createHealth() }
      running = await run(compile([stageOf(() => undefined)], {}), known, platform)
      await vi.waitFor(async () => expect((await log.lag('probe'))[0]).toMatchObject({ committed: 4, lag: 0 }), 10_000)
      const { values } = await known.metrics.eventsMissed.get()
      expect(values).toEqual(times === 0 ? [] : [{ labels: { stage: 'probe', topic }, value: 3 }])
      expect((await known.health.report()).parts.map(({ part }) => part)).toEqual(times === 0 ? [] : ['retention'])
      await running.stop()
    }
  })

  it('closes the stages that are open when one of them does not open', async () => {
    const closed: string[] = []
    const fine = {
      ...stageOf(() => undefined),
      name: 'fine',
      open: async () => ({ close: () => void closed.push('fine') }),
    }
    const broken = { ...stageOf(() => undefined), name: 'broken', open: () => Promise.reject(new Error('no')) }
    await expect(run(compile([fine, broken], {}), ports(), platform)).rejects.toThrow('no')
    expect(closed).toEqual(['fine'])
  })
})
