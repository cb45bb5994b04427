import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Clock } from '../../monitoring/clock.ts'
import { collect, numbered, range, until } from '../../tests/contract/log-kit.ts'
import { type EmbeddedLog, type EmbeddedLogOptions, openEmbeddedLog } from './log.ts'

/** A clock that stands still until it is moved; whoever sleeps on it sleeps until its signal wakes him. */
function stillClock(): Clock & { time: number } {
  return {
    time: 1_700_000_000_000,
    now() {
      return this.time
    },
    sleep: (_ms, signal) =>
      new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason), { once: true })),
  }
}

const day = 86_400_000

describe('the embedded log', () => {
  let folder: string
  let clock: ReturnType<typeof stillClock>
  const open: EmbeddedLog[] = []
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'raylog-embedded-'))
    clock = stillClock()
  })
  afterEach(async () => {
    await Promise.all(open.splice(0).map(log => log.close()))
    await rm(folder, { recursive: true })
  })

  async function start(more: Partial<EmbeddedLogOptions> = {}): Promise<EmbeddedLog> {
    const log = await openEmbeddedLog({ folder, clock, ...more })
    open.push(log)
    return log
  }

  async function startWith(retention: { maxAgeMs?: number; maxBytes?: number }, partitions = 1): Promise<EmbeddedLog> {
    const log = await start()
    const { maxAgeMs = null, maxBytes = null } = retention
    await log.ensureTopics([{ name: 't', partitions, retention: { maxAgeMs, maxBytes } }])
    return log
  }

  const bounds = async (log: EmbeddedLog) => (await log.topics())[0]?.bounds

  it('puts many concurrent appends into few transactions', async () => {
    const log = await startWith({}, 4)
    const before = log.commits()
    await Promise.all(range(0, 2000).map(n => log.append([numbered('t', n)])))
    expect(log.commits() - before).toBeLessThan(50)
  })

  it('delivers without a clock: an append wakes who reads its topic', async () => {
    const log = await startWith({})
    const tail = await collect(log, { topics: ['t'], from: 'latest' })
    await log.append([numbered('t', 1)])
    await until('the record', () => tail.records.length === 1)
  })

  it('tells a second opener of the folder that it is in use', async () => {
    await start()
    await expect(start()).rejects.toMatchObject({ code: 'data-in-use' })
  })

  it('goes on delivering after its database thread died', async () => {
    const log = await startWith({})
    const tail = await collect(log, { topics: ['t'], from: 'latest' })
    const member = await collect(log, { group: 'g', topics: ['t'], from: 'earliest' })
    await log.append([numbered('t', 1)])
    await log.killThread()
    await log.append([numbered('t', 2)])
    await until('both records', () => tail.records.length === 2 && member.records.length === 2)
    expect(tail.numbers()).toEqual([1, 2])
    expect(member.numbers()).toEqual([1, 2])
  })

  it('refuses a record above the limit and a time that is none', async () => {
    const log = await start({ maxRecordBytes: 1000 })
    await log.ensureTopics([{ name: 't', partitions: 1, retention: { maxAgeMs: null, maxBytes: null } }])
    const record = numbered('t', 1)
    await expect(log.append([{ ...record, value: Buffer.alloc(1001) }])).rejects.toMatchObject({ code: 'too-large' })
    await expect(log.append([{ ...record, timestamp: 1.5 }])).rejects.toMatchObject({ code: 'bad-request' })
    await expect(log.subscribe({ topics: ['missing'], from: 'latest' }, { records() {} })).rejects.toMatchObject({
      code: 'not-found',
    })
  })

  it('begins a group at the end once: what comes before its first commit is not missed after a restart', async () => {
    const log = await startWith({})
    await log.append([numbered('t', 0)])
    await collect(log, { group: 'g', topics: ['t'], from: 'latest' })
    await log.killThread()
    await log.append([numbered('t', 1)])
    await log.close()
    const again = await start()
    const member = await collect(again, { group: 'g', topics: ['t'], from: 'latest' })
    await until('the record', () => member.records.length === 1)
    expect(member.numbers()).toEqual([1])
  })

  it('reads partitions that are added while a group and a tail are reading', async () => {
    const log = await startWith({}, 1)
    const member = await collect(log, { group: 'g', topics: ['t'], from: 'latest' })
    const tail = await collect(log, { topics: ['t'], from: 'latest' })
    await log.ensureTopics([{ name: 't', partitions: 5, retention: { maxAgeMs: null, maxBytes: null } }])
    await log.append(range(0, 50).map(n => numbered('t', n)))
    await until('all records', () => member.records.length === 50 && tail.records.length === 50)
    expect(new Set(member.records.map(({ partition }) => partition)).size).toBeGreaterThan(1)
  })

  it('takes partitions away from a member that does not let go in time', async () => {
    let late: (() => void) | undefined
    const impatient: Clock = {
      now: () => clock.time,
      sleep: () =>
        new Promise(resolve => {
          late = resolve
        }),
    }
    const log = await start({ clock: impatient, trimEveryMs: null })
    await log.ensureTopics([{ name: 't', partitions: 2, retention: { maxAgeMs: null, maxBytes: null } }])
    const stuck = Promise.withResolvers<void>()
    const first = await collect(log, { group: 'g', topics: ['t'], from: 'earliest' }, { revoked: () => stuck.promise })
    await until('its partitions', () => first.assignment().length === 2)
    const second = await collect(log, { group: 'g', topics: ['t'], from: 'earliest' })
    await until('the wait', () => late !== undefined)
    expect(second.assignment()).toEqual([])
    late?.()
    await until('a partition', () => second.assignment().length === 1)
    expect(first.assignment()).toHaveLength(1)
    stuck.resolve()
  })

  it('can be unsubscribed from within the handler', async () => {
    const log = await startWith({})
    const member = await collect(
      log,
      { group: 'g', topics: ['t'], from: 'earliest' },
      { records: () => member.close() },
    )
    const tail = await collect(log, { topics: ['t'], from: 'latest' }, { records: () => tail.close() })
    await log.append([numbered('t', 1)])
    await until('both records', () => tail.records.length === 1 && member.records.length === 1)
    const next = await collect(log, { group: 'g', topics: ['t'], from: 'earliest' })
    await until('the uncommitted record', () => next.records.length === 1)
  })

  describe('keeping and trimming', () => {
    it('removes what is older than the topic keeps, in steps, and goes on counting', async () => {
      const log = await startWith({ maxAgeMs: 30 * day })
      await log.append(range(0, 1200).map(n => numbered('t', n)))
      clock.time += 20 * day
      await log.append(range(1200, 1300).map(n => numbered('t', n)))
      expect(await log.trim()).toBe(0)
      clock.time += 20 * day
      expect(await log.trim()).toBe(1200)
      expect(await bounds(log)).toEqual([{ partition: 0, low: 1200, high: 1300 }])
      clock.time += 20 * day
      expect(await log.trim()).toBe(100)
      expect(await bounds(log)).toEqual([{ partition: 0, low: 1300, high: 1300 }])
      await log.close()
      const again = await start()
      expect(await bounds(again)).toEqual([{ partition: 0, low: 1300, high: 1300 }])
      expect(await again.append([numbered('t', 1300)])).toEqual([{ topic: 't', partition: 0, offset: 1300 }])
    })

    it('removes the oldest of all partitions when the topic is too large', async () => {
      const log = await startWith({ maxBytes: 100_000 }, 3)
      for (const n of range(0, 200)) {
        clock.time += 1000
        await log.append([{ topic: 't', key: `k${n}`, value: Buffer.alloc(1000, n) }])
      }
      expect(await log.trim()).toBeGreaterThanOrEqual(100)
      const kept: number[] = []
      for (const { partition, low } of (await bounds(log)) ?? [])
        for (const record of await log.read({ topic: 't', partition, offset: low }, 1000)) kept.push(record.timestamp)
      expect(kept.length).toBeGreaterThan(90)
      expect(kept.length * 1004).toBeLessThan(101_000)
      expect(await log.trim()).toBe(0)
    })

    it('lets a group and a read that stand below the oldest kept record go on with that one', async () => {
      const log = await startWith({ maxAgeMs: day })
      await log.append(range(0, 10).map(n => numbered('t', n)))
      await log.seek('g', [{ topic: 't', partition: 0, offset: 3 }])
      clock.time += 2 * day
      await log.append(range(10, 15).map(n => numbered('t', n)))
      await log.trim()
      expect((await log.read({ topic: 't', partition: 0, offset: 0 }, 1)).map(({ offset }) => offset)).toEqual([10])
      expect(await log.lag('g')).toMatchObject([{ committed: 3, high: 15, lag: 5 }])
      const member = await collect(log, { group: 'g', topics: ['t'], from: 'earliest' })
      await until('what is left', () => member.records.length === 5)
      expect(member.numbers()).toEqual(range(10, 15))
    })

    it('finds offsets by time where times are out of order and the oldest are gone', async () => {
      const log = await startWith({ maxAgeMs: day })
      const late = clock.time + day
      const times = [late, clock.time, clock.time + 5, clock.time + 3, clock.time + 9, late + 1]
      await log.append(times.map((timestamp, n) => ({ ...numbered('t', n), timestamp })))
      const at = async (time: number) => (await log.offsetsAt('t', time))[0]?.offset
      expect(await at(clock.time)).toBe(0)
      expect(await at(late + 1)).toBe(5)
      expect(await at(late + 2)).toBe(6)
      const first = clock.time
      clock.time = late + day + 1
      expect(await log.trim()).toBe(5)
      expect(await at(first + 4)).toBe(5)
    })
  })
})
