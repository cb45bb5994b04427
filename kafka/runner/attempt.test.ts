import pino from 'pino'
import { describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { systemClock } from '../../monitoring/clock.ts'
import { createMetrics } from '../../monitoring/metrics.ts'
import { platformConfig } from '../../schemas/config.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { type Parked, topics } from '../../schemas/topics.ts'
import { anInstance } from '../../tests/gateway/samples.ts'
import { HandClock } from '../../tests/harness/hand-clock.ts'
import { createCodec } from '../codec.ts'
import type { EventLog, LogRecord, NewRecord } from '../log.ts'
import { defineStage, type HandleContext } from '../stage.ts'
import { type AttemptContext, process } from './attempt.ts'

const mostBytes = 2_000
const registry: Pick<EventLog, 'schemaId' | 'schemaText'> = {
  schemaId: async subject => Object.values(topics).findIndex(({ name }) => subject === `${name}-value`),
  schemaText: async id => JSON.stringify(Object.values(topics)[id]?.schema),
}
const codec = createCodec(registry)

/** One stage over a log that takes records of so many bytes, and none that is larger. */
function opened(handle: (context: HandleContext<typeof topics.instances>) => Promise<void> | void) {
  const appended: NewRecord[] = []
  async function append(records: readonly NewRecord[]) {
    if (records.some(({ value }) => value.byteLength > mostBytes)) throw new RaylogError('too-large', 'a record')
    appended.push(...records)
    return []
  }
  const stage = defineStage({
    name: 'probe',
    role: 'processor',
    summary: 'for tests',
    reads: [topics.instances],
    writes: [topics.instances],
    needs: [],
    config: z.strictObject({}),
    open: async () => ({}),
  })
  const context: AttemptContext = {
    stage,
    opened: { handle: (_read, given) => handle(given) },
    log: { append } as Pick<EventLog, 'append'> as EventLog,
    append,
    codec,
    clock: { ...systemClock, sleep: async () => undefined },
    logger: pino({ level: 'silent' }),
    metrics: createMetrics(),
    settings: platformConfig.shape.runner.parse({}),
    random: () => 0.5,
  }
  return { context, appended }
}

async function recordOf(value: Buffer | Promise<Buffer>): Promise<LogRecord> {
  const at = { topic: topics.instances.name, partition: 3, offset: 9 }
  return { ...at, key: 'st_1', value: await value, headers: {}, timestamp: 0 }
}

const until = (signal: AbortSignal) => ({ signal, leaving: signal })

describe('an event whose partition goes to another', () => {
  it('is not parked by the one who leaves, and is left for the other', async () => {
    const leave = new AbortController()
    const { context, appended } = opened(() => {
      leave.abort(new RaylogError('stopping', 'it leaves'))
      throw new RaylogError('bad-record', 'no')
    })
    const record = await recordOf(codec.encode(topics.instances, anInstance(1)))
    const time = { signal: new AbortController().signal, leaving: leave.signal }
    await expect(process(context, record, time)).rejects.toThrow('it leaves')
    expect(appended).toEqual([])
  })

  it('says nothing any more, also where its handler did not listen: the other says it, and what comes after it', async () => {
    const gone = new AbortController()
    const { context, appended } = opened(({ emit }) => {
      emit(topics.instances, anInstance(1))
      gone.abort(new RaylogError('stopping', 'lost'))
    })
    const record = await recordOf(codec.encode(topics.instances, anInstance(1)))
    await expect(process(context, record, until(gone.signal))).rejects.toMatchObject({ code: 'stopping' })
    expect(appended).toEqual([])
  })
})

describe('an event that is tried again', () => {
  /** The pauses before each attempt, ms, where chance is always the same. */
  async function pauses(chance: number, settings: { retries: number; backoffMs: number; maxBackoffMs: number }) {
    const { context } = opened(() => Promise.reject(new RaylogError('infer-failed', 'not yet')))
    const slept: number[] = []
    const clock = { ...systemClock, sleep: async (ms: number) => void slept.push(ms) }
    const record = await recordOf(codec.encode(topics.instances, anInstance(1)))
    const given = { ...context, clock, random: () => chance, settings: { ...context.settings, ...settings } }
    await process(given, record, until(new AbortController().signal))
    return slept
  }
  const settings = { retries: 6, backoffMs: 100, maxBackoffMs: 1_000 }

  it('waits twice as long each time, up to a limit', async () => {
    expect(await pauses(1, settings)).toEqual([100, 200, 400, 800, 1_000, 1_000])
  })

  it('waits by chance, half as long at least: those who failed together do not come back together', async () => {
    expect(await pauses(0, settings)).toEqual([50, 100, 200, 400, 500, 500])
    expect(await pauses(0.5, settings)).toEqual([75, 150, 300, 600, 750, 750])
  })

  it('waits no longer than the limit however often it failed', async () => {
    const long = await pauses(1, { retries: 2_000, backoffMs: 1, maxBackoffMs: 15_000 })
    expect(Math.max(...long)).toBe(15_000)
    expect(long.slice(14)).toEqual(Array(2_000 - 14).fill(15_000))
  })

  it('waits no longer when its partition is let go of, and is left for its next reader', async () => {
    const stop = new AbortController()
    const clock = new HandClock()
    const { context, appended } = opened(() => Promise.reject(new RaylogError('store-unavailable', 'away')))
    const record = await recordOf(codec.encode(topics.instances, anInstance(1)))
    const { signal } = new AbortController()
    const ended = expect(
      process({ ...context, clock }, record, { signal, leaving: stop.signal }),
    ).rejects.toMatchObject({ code: 'stopping' })
    await vi.waitFor(() => expect(clock.sleeping).toHaveLength(1), 25_000)
    stop.abort(new RaylogError('stopping', 'the end'))
    await ended
    expect(appended).toEqual([])
  })
})

describe('an event that is given up', () => {
  const parkedOf = (record: NewRecord | undefined): Promise<Parked> =>
    codec.decode(topics.parked, { value: Buffer.from(record?.value ?? []) })
  const time = until(new AbortController().signal)
  const refuse = () => Promise.reject(new RaylogError('bad-record', 'no'))

  it('is parked with its bytes', async () => {
    const { context, appended } = opened(refuse)
    const record = await recordOf(codec.encode(topics.instances, anInstance(1)))
    await process(context, record, time)
    expect(await parkedOf(appended[0])).toMatchObject({ value: record.value, message: 'no', subject: anInstance(1).id })
  })

  it('is parked without them where it is as large as the log takes, instead of holding its partition for ever', async () => {
    const { context, appended } = opened(refuse)
    const large = { ...anInstance(1), requested: ['x'.repeat(mostBytes - 250)] }
    const record = await recordOf(codec.encode(topics.instances, large))
    expect(record.value.length).toBeLessThanOrEqual(mostBytes)
    await process(context, record, time)
    const parked = await parkedOf(appended[0])
    expect(parked).toMatchObject({ code: 'bad-record', offset: 9, partition: 3, subject: large.id })
    expect(parked.value).toHaveLength(0)
    expect(parked.message).toContain('imaging.instances.v1/3/9')
  })
})
