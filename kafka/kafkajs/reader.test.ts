import pino from 'pino'
import { describe, expect, it } from 'vitest'
import { until } from '../../tests/harness/until.ts'
import type { Gap } from '../log.ts'
import { guardedKafkajs } from './guards.ts'
import { LinkError } from './link.ts'
import { createReader, type ReaderOptions } from './reader.ts'

describe('a reader', () => {
  it('waits where a partition has no leader, as while its only broker starts, and goes on', async () => {
    const fetched = Promise.withResolvers<number>()
    const deaths: Error[] = []
    let leader = -1
    const wire: Pick<ReaderOptions['wire'], 'leaderOf' | 'refresh' | 'to' | 'isClosed' | 'hangUp'> = {
      leaderOf: () => leader,
      // What it learns at the second look.
      async refresh() {
        leader = leader === -1 ? -2 : 7
      },
      to(node) {
        fetched.resolve(node)
        return Promise.reject(new LinkError('that is enough'))
      },
      isClosed: () => false,
      hangUp: () => undefined,
    }
    const reader = createReader({
      wire: wire as ReaderOptions['wire'],
      subscriber: { records: () => undefined },
      ...{
        purpose: 'test',
        maxRecords: 10,
        pastEnd: 'oldest',
        logger: pino({ level: 'silent' }),
        died: error => deaths.push(error),
      },
      clock: { now: () => 0, sleep: async (_, signal) => signal?.throwIfAborted() },
      // Not asked for before the first answer of a leader.
      ...({ kafkajs: undefined, offsets: undefined } as unknown as Pick<ReaderOptions, 'kafkajs' | 'offsets'>),
    })
    await reader.assign([{ topic: 't', partition: 0, offset: 0 }])
    expect(await fetched.promise).toBe(7)
    expect(deaths).toEqual([])
    reader.end()
  })

  it.each([
    ['a group whose position the log no longer has', 'oldest', 1, 3],
    ['a group whose position is past the end, reading all again', 'oldest', 20, 3],
    ['a tail whose position is past the end, at the end', 'newest', 20, 8],
  ] as const)('goes on for %s', async (_, pastEnd, position, next) => {
    const kafkajs = guardedKafkajs()
    const asked: string[] = []
    const gaps: Gap[] = []
    const outOfRange = { partition: 0, errorCode: 1, highWatermark: '8', messages: [] }
    const link = {
      async send(_name: string, { topics }: { topics: { partitions: { fetchOffset: string }[] }[] }) {
        const [offset = ''] = topics.flatMap(({ partitions }) => partitions.map(({ fetchOffset }) => fetchOffset))
        asked.push(offset)
        // The second one waits, as for records that do not come.
        if (asked.length === 2) await new Promise(() => undefined)
        return { errorCode: 0, responses: [{ topicName: 't', partitions: [outOfRange] }] }
      },
    }
    const wire = { leaderOf: () => 7, to: async () => link, isClosed: () => false, hangUp: () => undefined }
    const bounds = async () => [{ partition: 0, low: 3, high: 8 }]
    const reader = createReader({
      wire: wire as unknown as ReaderOptions['wire'],
      offsets: { bounds } as unknown as ReaderOptions['offsets'],
      kafkajs,
      subscriber: { records: () => undefined, missed: gap => gaps.push(gap) },
      ...{ purpose: 'test', maxRecords: 10, pastEnd, logger: pino({ level: 'silent' }) },
      died: error => expect.unreachable(error.message),
      clock: { now: () => 0, sleep: async (_, signal) => signal?.throwIfAborted() },
    })
    await reader.assign([{ topic: 't', partition: 0, offset: position }])
    await until('it asks again', () => asked.length === 2)
    expect(asked).toEqual([String(position), String(next)])
    expect(gaps).toEqual(next > position ? [{ topic: 't', partition: 0, from: position, to: next }] : [])
    reader.end()
  })
})
