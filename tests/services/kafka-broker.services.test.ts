/** One broker: killed, frozen, idle; a member that is frozen; a slow subscriber. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { KafkaLog } from '../../kafka/kafkajs/log.ts'
import type { EventLog, Subscription } from '../../kafka/log.ts'
import { collect, numbered, range, unique } from '../contract/log-kit.ts'
import { until } from '../harness/until.ts'
import { openLog, seconds, startLoad, verify } from './kafka-kit.ts'
import { type Kafka, startKafka } from './servers/kafka.ts'

describe('one broker', () => {
  let kafka: Kafka
  let log: KafkaLog
  // Node says it once in a process, so it is listened for from the first connection on.
  const warnings: string[] = []
  const onWarning = (warning: Error) => void warnings.push(warning.name)
  beforeAll(async () => {
    process.on('warning', onWarning)
    kafka = await startKafka()
    log = await openLog(kafka)
  })
  afterAll(async () => {
    process.off('warning', onWarning)
    await log?.close()
    await kafka?.[Symbol.asyncDispose]()
  })

  const spec = (name: string, partitions: number) => ({
    name,
    partitions,
    retention: { maxAgeMs: null, maxBytes: null },
  })
  async function newTopic(partitions = 3): Promise<string> {
    const topic = unique('broker')
    await log.ensureTopics([spec(topic, partitions)])
    return topic
  }
  const node = () => {
    const [only] = kafka.nodes
    if (!only) throw new Error('there is no broker')
    return only
  }

  /** Reads and commits everything, and says how often each record came. */
  async function startReader(from: EventLog, topic: string, group: string) {
    const received = new Map<number, number>()
    let longest = 0
    let last = Date.now()
    const subscription: Subscription = await from.subscribe(
      { group, topics: [topic], from: 'earliest' },
      {
        async records(records) {
          longest = Math.max(longest, Date.now() - last)
          last = Date.now()
          for (const { value } of records) {
            const n = Number(value.toString())
            received.set(n, (received.get(n) ?? 0) + 1)
          }
          const end = records.at(-1)
          if (end) await subscription.commit([{ ...end, offset: end.offset + 1 }])
        },
      },
    )
    const again = () => [...received.values()].reduce((sum, times) => sum + times - 1, 0)
    return { subscription, received, again, longestMs: () => longest }
  }

  it.each([
    ['killed and started again', () => node().kill(), () => node().start()],
    ['frozen for longer than the session timeout and thawed', async () => node().freeze(), async () => node().thaw()],
  ])('is %s: senders and readers go on by themselves, and nothing is lost', async (what, away, back) => {
    const topic = await newTopic()
    const group = unique('g')
    const reader = await startReader(log, topic, group)
    const load = startLoad(log, topic)
    await until('the first answers', () => load.acked.size > 400)
    for (let round = 0; round < 2; round++) {
      await away()
      await wait(8_000) // the session timeout is 6 s: this time is what is tested
      await back()
      const before = load.acked.size
      await until('answers again', () => load.acked.size > before + 400, { deadlineMs: 90_000 })
    }
    await load.stop()
    const missing = () => [...load.acked.keys()].filter(n => !reader.received.has(n))
    await until('the reader has all', () => missing().length === 0, { deadlineMs: 90_000 })
    await until('all is committed', async () => (await log.lag(group)).every(({ lag }) => lag === 0))
    const verdict = await verify(log, topic, load.acked)
    await reader.subscription.close()
    console.log(
      `the broker was ${what}, twice 8 s: ${load.acked.size} appended, ${verdict.lost.length} lost, ` +
        `${verdict.duplicates} twice in the log, ${reader.again()} delivered again, ` +
        `longest without an answer ${seconds(load.longestGapMs())}, without a delivery ${seconds(reader.longestMs())}`,
    )
    expect(verdict).toMatchObject({ lost: [], misplaced: [], disordered: [] })
  })

  it('does not take the commits of a member that was frozen and lost its partitions', async () => {
    const topic = await newTopic(2)
    const group = unique('g')
    const load = startLoad(log, topic)
    const options = { brokers: kafka.brokers, group, topic, sessionTimeoutMs: 3_000, handleMs: 2 }
    const child = spawn(process.execPath, ['tests/services/kafka-member.ts', JSON.stringify(options)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const said: string[] = []
    createInterface({ input: child.stdout }).on('line', line => said.push(line))
    await until('it reads', () => said.length > 100)
    child.kill('SIGSTOP')
    const next = await startReader(log, topic, group)
    await until('the other has its partitions', () => next.subscription.assignment().length === 2)
    await until('the other has read on', () => next.received.size > 200)
    const committed = async () =>
      new Map((await log.lag(group)).map(({ partition, committed }) => [partition, committed]))
    let last = await committed()
    let wentBack = 0
    const before = said.length
    child.kill('SIGCONT')
    await until('it has joined again', async () => {
      const now = await committed()
      for (const [partition, offset] of now) if (offset < (last.get(partition) ?? 0)) wentBack++
      last = now
      return said.slice(before).some(line => line.includes('"assigned"'))
    })
    child.kill('SIGKILL')
    await load.stop()
    expect(said.slice(before).some(line => line.includes('"revoked"'))).toBe(true)
    expect(wentBack).toBe(0)
    await next.subscription.close()
  })

  it('keeps a slow subscriber in its group, with flat memory and without rebalances', async () => {
    const topic = await newTopic()
    const group = unique('g')
    const value = Buffer.alloc(2_000, 'x')
    for (const batch of range(0, 60))
      await log.append(range(0, 500).map(n => ({ topic, key: `k${(batch * 500 + n) % 97}`, value })))
    let revocations = 0
    let records = 0
    let most = 0
    const slow: Subscription = await log.subscribe(
      { group, topics: [topic], from: 'earliest', maxRecords: 50 },
      {
        async records(given) {
          records += given.length
          const at = given.slice(0, 1)
          slow.pause(at)
          // Busy in chunks: no heartbeat can go out meanwhile. Then idle for a while.
          const busyUntil = Date.now() + 150
          while (Date.now() < busyUntil) Math.sqrt(records)
          await wait(50)
          slow.resume(at)
          most = Math.max(most, process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed)
        },
        revoked: () => void revocations++,
      },
    )
    await until('it has its partitions', () => slow.assignment().length === 3)
    global.gc?.()
    const before = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed
    await wait(20_000) // three session timeouts: this time is what is tested
    console.log(
      `slow subscriber: ${records} of 30000 records in 20 s, ${revocations} rebalances, memory at most ${Math.round((most - before) / 1e6)} MB more`,
    )
    expect(records).toBeGreaterThan(500)
    expect(revocations).toBe(0)
    // 60 MB wait in the log; one answer and one chunk of each partition are held.
    expect(most - before).toBeLessThan(40e6)
    await slow.close()
  })

  it('leaves a member alone whose one call outlasts two session timeouts: no rebalance, nothing again, its commit counts', async () => {
    const topic = await newTopic(2)
    const group = unique('g')
    const told: string[] = []
    const received: number[] = []
    const taken: number[] = []
    let waited = 0
    // Longer than this process stands still on a slow machine: that would end a membership too.
    const sessionTimeoutMs = 10_000
    async function join(name: string, from: EventLog): Promise<Subscription> {
      const subscription: Subscription = await from.subscribe(
        { group, topics: [topic], from: 'earliest', maxRecords: 10 },
        {
          async records(records) {
            received.push(...records.map(({ value }) => Number(String(value))))
            const last = records.at(-1)
            if (last?.partition === 0 && waited++ === 0) await wait(2 * sessionTimeoutMs + 500) // this time is what is tested
            if (last) await subscription.commit([{ ...last, offset: last.offset + 1 }])
            if (last?.partition === 0)
              taken.push((await log.lag(group)).find(({ partition }) => partition === 0)?.committed ?? -1)
          },
          assigned: partitions => void told.push(`${name} has ${partitions.length}`),
          revoked: partitions => void told.push(`${name} gives ${partitions.length}`),
        },
      )
      return subscription
    }
    // The other would have the partition, and its records again, as soon as the slow one were taken for dead.
    const logs = [await openLog(kafka, { sessionTimeoutMs }), await openLog(kafka, { sessionTimeoutMs })] as const
    const members = [await join('one', logs[0]), await join('the other', logs[1])]
    await until('each has one', () => ['one has 1', 'the other has 1'].every(line => told.includes(line)))
    const before = told.length
    const sent = await log.append(range(0, 60).map(n => numbered(topic, n, `key-${n}`)))
    const slow = sent.filter(({ partition }) => partition === 0).length
    await until('all is committed', async () => (await log.lag(group)).every(({ lag }) => lag === 0))
    await until('the last commit was looked at', () => taken.includes(slow))
    expect(received.toSorted((a, b) => a - b)).toEqual(range(0, 60))
    expect(taken[0]).toBe(Math.min(10, slow))
    expect(told.slice(before)).toEqual([])
    for (const member of members) await member.close()
    for (const each of logs) await each.close()
  })

  it('costs nearly nothing while nothing happens, and arms no negative timer', async () => {
    const topic = await newTopic()
    const idle = await openLog(kafka, { heartbeatMs: 500 })
    await idle.append(range(0, 10).map(n => numbered(topic, n)))
    const open = await Promise.all([
      collect(idle, { group: unique('g'), topics: [topic], from: 'earliest' }),
      collect(idle, { topics: [topic], from: 'earliest' }),
    ])
    await until('both have read', () => open.every(({ records }) => records.length === 10))
    const used = process.cpuUsage()
    const since = Date.now()
    await wait(10_000) // an interval of doing nothing: this time is what is measured
    const { user, system } = process.cpuUsage(used)
    const share = (user + system) / 1000 / (Date.now() - since)
    console.log(`idle with a group and a tail: ${(share * 100).toFixed(1)} % of a core`)
    expect(warnings).not.toContain('TimeoutNegativeWarning')
    expect(share).toBeLessThan(0.1)
    await Promise.all(open.map(({ close }) => close()))
    await idle.close()
  })

  it('lets a group and a tail find partitions that are added while they read', async () => {
    const topic = await newTopic(1)
    const readers = await Promise.all([
      collect(log, { group: unique('g'), topics: [topic], from: 'latest' }),
      collect(log, { topics: [topic], from: 'latest' }),
    ])
    await until('the partition', () => readers.every(reader => reader.assignment().length === 1))
    await log.ensureTopics([spec(topic, 3)])
    await log.append(range(0, 60).map(n => numbered(topic, n, `key-${n}`)))
    await until('everything', () => readers.every(reader => new Set(reader.numbers()).size === 60), {
      deadlineMs: 90_000,
    })
    await Promise.all(readers.map(reader => reader.close()))
  })
})
