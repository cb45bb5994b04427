import pino from 'pino'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { systemClock } from '../../monitoring/clock.ts'
import { createMetrics } from '../../monitoring/metrics.ts'
import { platformConfig } from '../../schemas/config.ts'
import { topics } from '../../schemas/topics.ts'
import { until } from '../../tests/harness/until.ts'
import type { EventLog, Gap, LogRecord, Position, Subscriber } from '../log.ts'
import type { Codec } from '../ports.ts'
import { defineStage } from '../stage.ts'
import type { FeedContext } from './attempt.ts'
import { openFeed } from './feed.ts'

const partition = { topic: topics.feedback.name, partition: 0 }
const record = (offset: number): LogRecord => ({
  ...partition,
  offset,
  key: `key ${offset}`,
  value: Buffer.from([offset]),
  headers: {},
  timestamp: 0,
})

/**
 * A log that does what its test says, and may do: deliver until the subscription is closed.
 * @param atClose what it does when it is told to close, before it lets go of the partition
 */
function scripted(atClose: (subscriber: Subscriber) => Promise<void> | void) {
  const committed: Position[] = []
  const heard = Promise.withResolvers<Subscriber>()
  const log: Pick<EventLog, 'subscribe'> = {
    async subscribe(_options, subscriber) {
      heard.resolve(subscriber)
      return {
        pause: () => undefined,
        resume: () => undefined,
        commit: async next => void committed.push(...next),
        assignment: () => [partition],
        async close() {
          await atClose(subscriber)
          await subscriber.revoked?.([partition])
        },
      }
    },
  }
  return { log, committed, subscriber: heard.promise }
}

const quiet = { failed: (error: Error) => expect.unreachable(error.message), missed: () => undefined }

function contextOf(log: Pick<EventLog, 'subscribe'>, handle: (offset: number) => Promise<void> | void) {
  const stage = defineStage({
    name: 'probe',
    role: 'consumer',
    summary: 'for tests',
    reads: [topics.feedback],
    writes: [],
    needs: [],
    config: z.strictObject({}),
    open: async () => ({}),
  })
  const codec: Pick<Codec, 'decode'> = { decode: async () => ({}) as never }
  return {
    stage,
    opened: { handle: (_read, { at }) => handle(at.offset) },
    log: log as EventLog,
    codec: codec as Codec,
    clock: systemClock,
    logger: pino({ level: 'silent' }),
    metrics: createMetrics(),
    settings: platformConfig.shape.runner.parse({ drainMs: 5_000 }),
    random: Math.random,
  } satisfies FeedContext
}

describe('a feed whose records may wait', () => {
  it('has its places again when the partition of those that waited, or began, is taken away', async () => {
    const release = Promise.withResolvers<void>()
    const { log, subscriber } = scripted(() => undefined)
    const handled: number[] = []
    let resting: number | undefined = 0
    const feed = await openFeed(
      contextOf(log, async offset => {
        if (offset === 0) await release.promise
        handled.push(offset)
      }),
      {
        ...{ ...quiet, concurrency: 4 },
        aside: { topics: [topics.feedback], longestMs: 600_000_000_000_000, places: 1, restingSince: () => resting },
      },
    )
    const { records, revoked } = await subscriber
    await records([record(0), record(1), record(2)])
    const gone = revoked?.([partition], true)
    release.resolve()
    await gone
    resting = undefined
    await records([record(3), record(4)])
    resting = 0
    await until('what came with the partition again is handled', () => handled.includes(4))
    expect(handled).toEqual([0, 3, 4])
    await feed.close()
  })
})

describe('a feed that is closed', () => {
  it('commits nothing past a record that came while it drained', async () => {
    const release = Promise.withResolvers<void>()
    const { log, committed, subscriber } = scripted(late => late.records([record(2)]))
    const handled: number[] = []
    const feed = await openFeed(
      contextOf(log, async offset => {
        if (offset === 0) await release.promise
        handled.push(offset)
      }),
      { ...quiet, concurrency: 4 },
    )
    const { records } = await subscriber
    await records([record(0)])
    const closing = feed.close()
    await records([record(1)])
    release.resolve()
    await closing
    expect(committed).toEqual([{ ...partition, offset: 1 }])
    expect(handled).toEqual([0])
  })

  it('commits nothing of what finishes after its time, and holds no timer for it', async () => {
    const release = Promise.withResolvers<void>()
    const { log, committed, subscriber } = scripted(() => undefined)
    const context = contextOf(log, () => release.promise)
    const settings = { ...context.settings, drainMs: 1 }
    const feed = await openFeed({ ...context, settings }, { ...quiet, concurrency: 1, failed: () => undefined })
    await (await subscriber).records([record(0)])
    await feed.close()
    expect(feed.stuck()).toBe(1)
    const timers = () => process.getActiveResourcesInfo().filter(name => name === 'Timeout').length
    const before = timers()
    release.resolve()
    await new Promise(resolve => setImmediate(resolve))
    expect(timers()).toBe(before)
    expect(committed).toEqual([])
  })

  it('does not wait for what waits for its turn: it is left, and what is under way is finished and committed', async () => {
    const release = Promise.withResolvers<void>()
    const { log, committed, subscriber } = scripted(() => undefined)
    const begun: number[] = []
    const opened: FeedContext['opened'] = {
      async handle(_read, { at, leaving }) {
        begun.push(at.offset)
        if (at.offset === 0) return release.promise
        await new Promise((_, reject) => leaving.addEventListener('abort', () => reject(leaving.reason)))
      },
    }
    const feed = await openFeed({ ...contextOf(log, () => undefined), opened }, { ...quiet, concurrency: 4 })
    await (await subscriber).records([record(0), record(1), record(2)])
    await until('they are handled', () => begun.length === 3)
    const closing = feed.close()
    release.resolve()
    await closing
    expect(committed).toEqual([{ ...partition, offset: 1 }])
    expect(feed.stuck()).toBe(0)
  })

  it('gives up at once what it has of a partition that is lost, and commits nothing of it', async () => {
    const release = Promise.withResolvers<void>()
    const { log, committed, subscriber } = scripted(() => undefined)
    const signals: AbortSignal[] = []
    const context = contextOf(log, () => undefined)
    const opened: FeedContext['opened'] = {
      async handle(_read, { signal }) {
        signals.push(signal)
        await release.promise
      },
    }
    const feed = await openFeed({ ...context, opened }, { ...quiet, concurrency: 1 })
    const { records, revoked } = await subscriber
    await records([record(0)])
    await until('it is handled', () => signals.length === 1)
    // It is not waited for.
    await revoked?.([partition], true)
    expect(signals[0]?.aborted).toBe(true)
    expect(feed.pending()).toBe(0)
    release.resolve()
    await feed.close()
    expect(committed).toEqual([])
    expect(feed.stuck()).toBe(0)
  })

  it('commits again what it reads again, where a partition was lost and came back while a commit was under way', async () => {
    const answered = Promise.withResolvers<void>()
    const commits: Position[][] = []
    const { log, subscriber } = scripted(() => undefined)
    const slow: Pick<EventLog, 'subscribe'> = {
      async subscribe(options, own) {
        return {
          ...(await log.subscribe(options, own)),
          async commit(next) {
            commits.push([...next])
            // As for a member that has lost its partitions: left out silently.
            if (commits.length === 1) await answered.promise
          },
        }
      },
    }
    const context = contextOf(slow, () => undefined)
    const feed = await openFeed(context, { ...quiet, concurrency: 1 })
    const { records, revoked, assigned } = await subscriber
    await records([record(0)])
    await until('it is being committed', () => commits.length === 1)
    await revoked?.([partition], true)
    await assigned?.([partition])
    await records([record(0)])
    await until('it is handled again', () => feed.pending() === 0)
    answered.resolve()
    await until('it is committed again', () => commits.length === 2)
    expect(commits[1]).toEqual([{ ...partition, offset: 1 }])
    await feed.close()
  })

  it('passes what retention removed for good, behind what was read before it', async () => {
    const release = Promise.withResolvers<void>()
    const { log, committed, subscriber } = scripted(() => undefined)
    const gaps: Gap[] = []
    const feed = await openFeed(
      contextOf(log, () => release.promise),
      { ...quiet, concurrency: 1, missed: gap => gaps.push(gap) },
    )
    const { records, missed } = await subscriber
    await records([record(0)])
    missed?.({ ...partition, from: 1, to: 9 })
    const closing = feed.close()
    expect(committed).toEqual([])
    release.resolve()
    await closing
    expect(gaps).toEqual([{ ...partition, from: 1, to: 9 }])
    expect(committed).toEqual([{ ...partition, offset: 9 }])
  })
})
