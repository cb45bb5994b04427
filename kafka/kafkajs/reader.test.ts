import pino from 'pino'
import { describe, expect, it } from 'vitest'
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
      ...{ purpose: 'test', maxRecords: 10, logger: pino({ level: 'silent' }), died: error => deaths.push(error) },
      clock: { now: () => 0, sleep: async (_, signal) => signal?.throwIfAborted() },
      // Not asked for before the first answer of a leader.
      ...({ kafkajs: undefined, offsets: undefined } as unknown as Pick<ReaderOptions, 'kafkajs' | 'offsets'>),
    })
    await reader.assign([{ topic: 't', partition: 0, offset: 0 }])
    expect(await fetched.promise).toBe(7)
    expect(deaths).toEqual([])
    reader.end()
  })
})
