/** What the runner holds where handlers succeed: order, commits, starting and stopping, a log that is ahead or was trimmed. */
import pino from 'pino'
import { describe, expect, it, vi } from 'vitest'
import { createHealth } from '../monitoring/health.ts'
import { RaylogError } from '../schemas/errors.ts'
import { onlyHeader } from '../schemas/topics/parked.ts'
import { type Feedback, topics } from '../schemas/topics.ts'
import { HandClock } from '../tests/harness/hand-clock.ts'
import { audit, feedback, platform, probesPerTest, stageOf } from '../tests/harness/probes.ts'
import { createCodec } from './codec.ts'
import { compile } from './compile.ts'
import { run } from './runner.ts'
import type { AnyStage, OpenContext } from './stage.ts'

const on = probesPerTest()
const { ports, start, append, all, lagIsZero } = on

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
    await vi.waitFor(() => expect(seen).toHaveLength(20), 25_000)
    expect(seen.every(({ study }) => study !== 'st_0')).toBe(true)
    held?.()
    await lagIsZero()
    for (const study of ['st_0', 'st_1', 'st_2']) {
      const times = seen.filter(event => event.study === study).map(({ at }) => at)
      expect(times).toEqual(times.toSorted((a, b) => a - b))
    }
  })

  it('stops when a stage says that it cannot go on', async () => {
    await append(feedback(1))
    const { stopped } = await start(
      stageOf(() => {
        throw new RaylogError('config-invalid', 'nothing will help')
      }),
    )
    await expect(stopped).rejects.toThrow('nothing will help')
    on.running = undefined
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
    await vi.waitFor(() => expect(first).toHaveLength(6), 25_000)
    await on.running?.stop()
    expect((await on.log.lag('probe'))[0]?.committed).toBe(2)
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
    const stopping = on.running?.stop()
    release.resolve()
    await stopping
    expect(await all(topics.audit)).toHaveLength(1)
    expect((await on.log.lag('probe')).every(({ lag }) => lag === 0)).toBe(true)
  })

  it('lets a stage tell of what it has done when nothing is handed to it any more, before it may not', async () => {
    await append(feedback(1))
    const seen: string[] = []
    const stage = stageOf(() => undefined)
    await start({
      ...stage,
      async open(context) {
        const { publish } = context as OpenContext<typeof topics.audit, never, unknown>
        return {
          handle: ({ event }) => void seen.push((event as Feedback).id),
          drain: async () => void (await publish(topics.audit, audit(`saw ${seen.join(' ')}`))),
        }
      },
    })
    await lagIsZero()
    await on.running?.stop()
    expect((await all(topics.audit)).map(({ id }) => id)).toEqual(['saw fb_1'])
  })

  it('waits until its deadline for a handler that does not hear, and then ends; its event is read again', async () => {
    await append(feedback(1, 'deaf'), feedback(2, 'other'))
    const clock = new HandClock()
    const lines: string[] = []
    const logger = pino({}, { write: (line: string) => lines.push(line) })
    const begun = Promise.withResolvers<void>()
    const release = Promise.withResolvers<void>()
    const deaf = stageOf(async (event, { emit }) => {
      if (event.id === 'fb_1') {
        begun.resolve()
        await release.promise
      }
      emit(topics.audit, audit(`${event.id} before`))
    })
    const settings = { runner: { drainMs: 5_000 } }
    const running = await run(compile([deaf], settings), ports(), { ...platform, clock, logger })
    on.running = running
    await begun.promise
    let ended = false
    const stopping = running.stop().then(() => (ended = true))
    await vi.waitFor(() => expect(clock.sleeping).toContain(5_000), 25_000)
    clock.move(4_999)
    await new Promise(resolve => setImmediate(resolve))
    expect(ended).toBe(false)
    clock.move(1)
    await stopping
    expect(lines.join('')).toMatch(/did not finish in time; aborted, and will be read again/)
    // It ends at last, for nobody: what it emitted is not said, and its event is the next reader's.
    release.resolve()
    const seen: string[] = []
    await start(
      stageOf((event, { emit }) => {
        seen.push(event.id)
        emit(topics.audit, audit(`${event.id} after`))
      }),
    )
    await lagIsZero()
    expect(seen).toContain('fb_1')
    const said = (await all(topics.audit)).map(({ id }) => id)
    expect(said).toContain('fb_1 after')
    expect(said).not.toContain('fb_1 before')
  })

  it('holds back the log when a stage is slow, and catches up', async () => {
    const events = Array.from({ length: 3_000 }, (_, n) => feedback(n, `key ${n}`))
    await append(feedback(-1))
    const codec = createCodec(on.log)
    await on.log.append(
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
    await vi.waitFor(() => expect(pending().probe).toBeGreaterThan(256), 25_000)
    await new Promise(resolve => setImmediate(resolve))
    // One chunk above the high-water mark at most, not all 3,001.
    expect(pending().probe).toBeLessThan(1_200)
    gate.resolve()
    await lagIsZero()
    expect(done).toBe(3_001)
  })

  it('leaves a parked event that is tried again to the stage that parked it', async () => {
    await append(feedback(1))
    const codec = createCodec(on.log)
    for (const stage of ['another', 'probe']) {
      const value = await codec.encode(topics.feedback, feedback(stage === 'probe' ? 2 : 3))
      await on.log.append([{ topic: topics.feedback.name, key: 'k', value, headers: { [onlyHeader]: stage } }])
    }
    const seen: string[] = []
    await start(stageOf(event => void seen.push(event.id)))
    await lagIsZero()
    expect(seen.sort()).toEqual(['fb_1', 'fb_2'])
  })

  it('hands on tracing headers, and no others', async () => {
    const codec = createCodec(on.log)
    await append()
    const value = await codec.encode(topics.feedback, feedback(1))
    await on.log.append([
      { topic: topics.feedback.name, key: 'k', value, headers: { traceparent: '00-1-2-01', other: 'x' } },
    ])
    await start(stageOf((event, { emit }) => emit(topics.audit, audit(event.id))))
    await lagIsZero()
    const [record] = await on.log.read({ topic: topics.audit.name, partition: 0, offset: 0 }, 1)
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
    const { subscribe } = on.log
    on.log.subscribe = async (options, subscriber) => {
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
    const old = await Promise.all([1, 2, 3].map(n => createCodec(on.log).encode(topics.feedback, feedback(n))))
    await append(feedback(0))
    await on.log.append(old.map(value => ({ topic, key: 'k', value, timestamp: 1 })))
    await on.log.seek('probe', [{ topic, partition: 0, offset: 1 }])
    await on.log.ensureTopics([{ name: topic, partitions: 1, retention: { maxAgeMs: 1, maxBytes: null } }])
    await vi.waitFor(async () => expect(await on.log.trim()).toBe(4), 25_000)
    for (const times of [1, 0]) {
      const known = { ...ports(), health: createHealth() }
      on.running = await run(compile([stageOf(() => undefined)], {}), known, platform)
      await vi.waitFor(
        async () => expect((await on.log.lag('probe'))[0]).toMatchObject({ committed: 4, lag: 0 }),
        25_000,
      )
      const { values } = await known.metrics.eventsMissed.get()
      expect(values).toEqual(times === 0 ? [] : [{ labels: { stage: 'probe', topic }, value: 3 }])
      expect((await known.health.report()).parts.map(({ part }) => part)).toEqual(times === 0 ? [] : ['retention'])
      await on.running.stop()
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
