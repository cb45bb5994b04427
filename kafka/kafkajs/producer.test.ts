/** What becomes of batches that the brokers answer for in part, late or not at all. The brokers are a script here. */
import pino from 'pino'
import { describe, expect, it } from 'vitest'
import type { Clock } from '../../monitoring/clock.ts'
import { guardedKafkajs } from './guards.ts'
import { type Link, LinkError } from './link.ts'
import { createProducer } from './producer.ts'
import type { Api } from './protocol.ts'
import type { Wire } from './wire.ts'

type Asked = Api['Produce'][0]
type Answer = Api['Produce'][1]

interface Sent {
  partition: number
  producerId: string
  sequence: number
  values: string[]
}

/** Time passes when somebody sleeps, so nothing waits. */
function fastClock(): Clock {
  let now = 1_000
  return {
    now: () => now,
    async sleep(ms) {
      now += ms
      await new Promise(setImmediate)
    },
  }
}

const outgoing = (value: string) => ({
  message: { key: 'k', value: Buffer.from(value), timestamp: '0000000000001000', headers: {} },
  bytes: value.length,
})

/** @param answer to each request in turn; the last one answers the rest */
function brokers(...answers: ((asked: Asked) => Answer | Error)[]) {
  const sent: Sent[][] = []
  let ids = 0
  const link: Link = {
    isOpen: () => true,
    end: () => undefined,
    async send(name, asked) {
      if (name === 'InitProducerId') return { producerId: String(++ids), producerEpoch: 0 }
      if (name !== 'Produce' || !isProduce(asked)) throw new Error(`nobody asks for ${name}`)
      const parts = asked.topicData.flatMap(({ partitions }) => partitions)
      sent.push(
        parts.map(({ partition, firstSequence, messages }) => ({
          partition,
          producerId: asked.producerId,
          sequence: firstSequence,
          values: messages.map(({ value }) => value.toString()),
        })),
      )
      const answer = (answers[Math.min(sent.length, answers.length) - 1] ?? all())(asked)
      if (answer instanceof Error) throw answer
      return answer
    },
  }
  const wire: Pick<Wire, 'leaderOf' | 'to' | 'ask' | 'refresh' | 'isClosed'> = {
    leaderOf: () => 1,
    to: async () => link,
    ask: question => question(link),
    refresh: async () => undefined,
    isClosed: () => false,
  }
  const clock = fastClock()
  const logger = pino({ level: 'silent' })
  return { sent, producer: createProducer({ wire, kafkajs: guardedKafkajs(), clock, logger, deliveryMs: 5_000 }) }
}

const isProduce = (asked: object | undefined): asked is Asked => asked !== undefined && 'topicData' in asked

/** An answer with one of the codes for each partition, 0 where none is given; `undefined` leaves the partition out. */
const all =
  (codes: Record<number, number | undefined> = {}) =>
  ({ topicData }: Asked): Answer => ({
    topics: topicData.map(({ topic, partitions }) => ({
      topicName: topic,
      partitions: partitions.flatMap(({ partition, firstSequence }) => {
        const errorCode = partition in codes ? codes[partition] : 0
        if (errorCode === undefined) return []
        return [{ partition, errorCode, baseOffset: errorCode === 0 ? String(100 + firstSequence) : '-1' }]
      }),
    })),
  })
const notLeader = 6
const outOfOrder = 45
const tooLarge = 10

describe('writing to partitions', () => {
  it('answers with the offsets, and counts its sequence on', async () => {
    const { producer, sent } = brokers()
    expect(await producer.write('t', 0, [outgoing('a'), outgoing('b')])).toEqual([100, 101])
    expect(await producer.write('t', 0, [outgoing('c')])).toEqual([102])
    expect(sent.flat().map(({ sequence }) => sequence)).toEqual([0, 2])
  })

  it.each([
    ['fails', all({ 1: notLeader })],
    ['is left out of the answer', all({ 1: undefined })],
  ])('repeats only the partition that %s, as it was, and says it is written only then', async (_, first) => {
    const { producer, sent } = brokers(first, all())
    const [zero, one] = await Promise.all([
      producer.write('t', 0, [outgoing('a')]),
      producer.write('t', 1, [outgoing('b')]),
    ])
    expect([zero, one]).toEqual([[100], [100]])
    expect(sent.map(request => request.map(({ partition }) => partition))).toEqual([[0, 1], [1]])
    expect(sent[1]?.[0]).toEqual(sent[0]?.[1])
  })

  it('repeats under the same number when there was no answer, so that the broker takes it once', async () => {
    const { producer, sent } = brokers(() => new LinkError('gone'), all())
    const before = producer.write('t', 0, [outgoing('a')])
    expect(await before).toEqual([100])
    expect(sent[1]).toEqual(sent[0])
  })

  it('never uses the number of a batch that was given up for other records', async () => {
    let away = true
    const { producer, sent } = brokers(asked => (away ? new LinkError('gone') : all()(asked)))
    await expect(producer.write('t', 0, [outgoing('a')])).rejects.toMatchObject({ code: 'log-unavailable' })
    away = false
    await producer.write('t', 0, [outgoing('b')])
    const [first, last] = [sent[0]?.[0], sent.at(-1)?.[0]]
    expect(last?.values).toEqual(['b'])
    expect(last?.producerId).not.toBe(first?.producerId)
  })

  it('begins anew where the broker has forgotten what was written', async () => {
    const { producer, sent } = brokers(all(), all({ 0: outOfOrder }), all())
    await producer.write('t', 0, [outgoing('a')])
    await producer.write('t', 0, [outgoing('b')])
    expect(sent.flat().map(({ producerId, sequence }) => [producerId, sequence])).toEqual([
      ['1', 0],
      ['1', 1],
      ['2', 0],
    ])
    expect(await producer.write('t', 0, [outgoing('c')])).toEqual([101])
  })

  it('keeps the order of a partition over a failure', async () => {
    const { producer, sent } = brokers(() => new LinkError('gone'), all())
    await Promise.all(['a', 'b', 'c'].map(value => producer.write('t', 0, [outgoing(value)])))
    const last = sent.slice(1).flatMap(request => request.flatMap(({ values }) => values))
    expect(last).toEqual(['a', 'b', 'c'])
  })

  it('gives up at once what no waiting helps, and goes on with the rest', async () => {
    const { producer } = brokers(all({ 0: tooLarge }), all())
    await expect(producer.write('t', 0, [outgoing('a')])).rejects.toMatchObject({ code: 'too-large' })
    expect(await producer.write('t', 0, [outgoing('b')])).toEqual([100])
  })

  it('is closed when what was begun is answered', async () => {
    const { producer, sent } = brokers()
    const written = producer.write('t', 0, [outgoing('a')])
    await producer.close()
    expect(sent).toHaveLength(1)
    await written
  })
})
