/** Three brokers, replication 3, two of which must have a record: each is killed in turn while records are appended. */
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { KafkaLog } from '../../kafka/kafkajs/log.ts'
import { unique } from '../contract/log-kit.ts'
import { until } from '../harness/until.ts'
import { inSync, openLog, seconds, startLoad, verify } from './kafka-kit.ts'
import { type Kafka, startKafka } from './servers/kafka.ts'

describe('three brokers', () => {
  let kafka: Kafka
  let log: KafkaLog
  beforeAll(async () => {
    kafka = await startKafka(3)
    log = await openLog(kafka)
  })
  afterAll(async () => {
    await log?.close()
    await kafka?.[Symbol.asyncDispose]()
  })

  async function newTopic(partitions: number): Promise<string> {
    const topic = unique('kill')
    await log.ensureTopics([{ name: topic, partitions, retention: { maxAgeMs: null, maxBytes: null } }])
    return topic
  }

  it('lose nothing that was said to be appended when each is killed in turn', async () => {
    const topic = await newTopic(6)
    // The group keeps up, and makes the topic of the brokers' own offsets, which is killed with them.
    const received = new Set<number>()
    let deliveries = 0
    const subscription = await log.subscribe(
      { group: unique('reader'), topics: [topic], from: 'earliest' },
      {
        async records(records) {
          for (const { value } of records) received.add(Number(value.toString()))
          deliveries += records.length
          const last = records.at(-1)
          if (last) await subscription.commit([{ ...last, offset: last.offset + 1 }])
        },
      },
    )
    const load = startLoad(log, topic, { perSecond: 200, burst: 500 })
    await until('the first answers', () => load.acked.size > 200)
    await inSync(kafka.brokers, topic, 3)
    for (const node of kafka.nodes) {
      const before = load.acked.size
      await node.kill()
      await until('answers while it is gone', () => load.acked.size > before + 800, { deadlineMs: 120_000 })
      await node.start()
      await inSync(kafka.brokers, topic, 3)
    }
    // What goes wrong after a leader comes back shows in what is written next.
    const back = load.acked.size
    await until('answers when all are back', () => load.acked.size > back + 800, { deadlineMs: 120_000 })
    await load.stop()
    await until('the reader has all', () => [...load.acked.keys()].every(n => received.has(n)), { deadlineMs: 60_000 })
    await subscription.close()
    const verdict = await verify(log, topic, load.acked)
    console.log(
      `3 brokers killed: ${load.acked.size} appended, ${verdict.lost.length} lost, ${verdict.duplicates} twice in the log, ` +
        `${deliveries - received.size} delivered again, ${load.failures()} appends failed and were repeated, ` +
        `longest time without an answer ${seconds(load.longestGapMs())}`,
    )
    expect(verdict.lost).toEqual([])
    expect(verdict.misplaced).toEqual([])
    expect(verdict.disordered).toEqual([])
  })

  it('go on when one is frozen for longer than the session timeout, and thawed', async () => {
    const topic = await newTopic(6)
    const received = new Map<number, number>()
    let lastProgress = Date.now()
    let longest = 0
    const subscription = await log.subscribe(
      { group: unique('frozen'), topics: [topic], from: 'earliest' },
      {
        async records(records) {
          longest = Math.max(longest, Date.now() - lastProgress)
          lastProgress = Date.now()
          for (const { value } of records) {
            const n = Number(value.toString())
            received.set(n, (received.get(n) ?? 0) + 1)
          }
          const last = records.at(-1)
          if (last) await subscription.commit([{ ...last, offset: last.offset + 1 }])
        },
      },
    )
    const load = startLoad(log, topic)
    await until('the first answers', () => load.acked.size > 200)
    for (const node of kafka.nodes) {
      await inSync(kafka.brokers, topic, 3)
      const before = load.acked.size
      node.freeze()
      await wait(8_000) // the session timeout is 6 s: this time is what is tested
      await until('answers while it is frozen', () => load.acked.size > before + 200, { deadlineMs: 120_000 })
      node.thaw()
    }
    await inSync(kafka.brokers, topic, 3)
    await load.stop()
    await until('the reader has all', () => [...load.acked.keys()].every(n => received.has(n)), { deadlineMs: 60_000 })
    const again = [...received.values()].reduce((sum, times) => sum + times - 1, 0)
    await subscription.close()
    const verdict = await verify(log, topic, load.acked)
    console.log(
      `3 brokers frozen in turn: ${load.acked.size} appended, ${verdict.lost.length} lost, ${again} delivered again, ` +
        `longest without an answer ${seconds(load.longestGapMs())}, without a delivery ${seconds(longest)}`,
    )
    expect(verdict.lost).toEqual([])
    expect(verdict.misplaced).toEqual([])
    expect(verdict.disordered).toEqual([])
  })
})
