/** The contract of an EventLog, for every adapter. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { EventLog, LogRecord } from '../../kafka/log.ts'
import { groupsContract } from './log-groups.ts'
import {
  ascending,
  collect,
  newTopic,
  numbered,
  numberOf,
  type Opened,
  placeOf,
  range,
  unique,
  until,
} from './log-kit.ts'

export interface LogContractOptions {
  /** Offsets of a partition have no gaps (Kafka leaves some where a transaction ended). */
  dense: boolean
}

/** @param open gives a log; one is used for all tests, so that adapters that need a server start it once */
export function logContract(name: string, open: () => Promise<Opened>, { dense }: LogContractOptions): void {
  describe(`${name} keeps the log contract`, () => {
    let opened: Opened
    let log: EventLog
    beforeAll(async () => {
      opened = await open()
      log = opened.log
    })
    afterAll(() => opened.close())

    /** Every record of a topic, in the order of each partition. */
    async function readAll(topic: string, from = log): Promise<LogRecord[]> {
      const info = (await from.topics()).find(({ name }) => name === topic)
      const all: LogRecord[] = []
      for (const { partition, low, high } of info?.bounds ?? []) {
        let offset = low
        while (offset < high) {
          const records = await from.read({ topic, partition, offset }, 1000)
          const last = records.at(-1)
          if (!last) break
          all.push(...records)
          offset = last.offset + 1
        }
      }
      return all
    }

    describe('appending and reading', () => {
      it('keeps the order of each key', async () => {
        const topic = await newTopic(log)
        for (let n = 0; n < 60; n += 20) await log.append(range(n, n + 20).map(each => numbered(topic, each)))
        const byKey = Map.groupBy(await readAll(topic), record => record.key)
        expect(byKey.size).toBe(7)
        for (const records of byKey.values()) {
          expect(new Set(records.map(placeOf)).size).toBe(1)
          expect(records.map(numberOf)).toEqual(ascending(records.map(numberOf)))
        }
      })

      it('answers with the positions at which the records can be read', async () => {
        const topic = await newTopic(log)
        const records = range(0, 20).map(n => numbered(topic, n))
        const positions = await log.append(records)
        for (const [n, position] of positions.entries()) {
          const [record] = await log.read(position, 1)
          expect(record).toMatchObject({ ...position, key: records[n]?.key })
          expect(record && numberOf(record)).toBe(n)
        }
      })

      it('counts offsets up from the low bound to the high one', async () => {
        const topic = await newTopic(log, 2)
        await Promise.all(range(0, 30).map(n => log.append([numbered(topic, n)])))
        const info = (await log.topics()).find(({ name }) => name === topic)
        expect(info?.partitions).toBe(2)
        for (const { partition, low, high } of info?.bounds ?? []) {
          const offsets = (await log.read({ topic, partition, offset: 0 }, 1000)).map(({ offset }) => offset)
          expect(offsets).toEqual(ascending([...new Set(offsets)]))
          if (dense) expect(offsets).toEqual(range(low, high))
          expect(await log.read({ topic, partition, offset: high }, 10)).toEqual([])
        }
      })

      it('gives back keys, headers and values as they were, whatever bytes they hold', async () => {
        const topic = await newTopic(log, 1)
        const everyByte = Buffer.from(range(0, 256))
        const records = [
          {
            topic,
            key: 'plain',
            value: everyByte,
            headers: { traceparent: '00-ab-cd-01', empty: '' },
            timestamp: 1234,
          },
          { topic, key: '', value: Buffer.alloc(0) },
          { topic, key: 'Größe 像 🫁 "\' \\', value: everyByte.subarray(100, 130), headers: { ü: '像🫁\n' } },
        ]
        await log.append(records)
        const read = await readAll(topic)
        expect(read.map(({ key }) => key)).toEqual(records.map(({ key }) => key))
        expect(read.map(({ value }) => Buffer.compare(value, Buffer.alloc(0)) >= 0 && value.toString('hex'))).toEqual(
          records.map(({ value }) => value.toString('hex')),
        )
        expect(read.map(({ headers }) => headers)).toEqual([records[0]?.headers, {}, records[2]?.headers])
        expect(read[0]?.timestamp).toBe(1234)
        expect(read[1]?.timestamp).toBeGreaterThan(1_600_000_000_000)
      })

      it('does not hold on to the buffer that was passed in', async () => {
        const topic = await newTopic(log, 1)
        const value = Buffer.from('before')
        const appended = log.append([{ topic, key: 'a', value }])
        value.write('after!')
        await appended
        expect((await readAll(topic)).map(record => record.value.toString())).toEqual(['before'])
      })

      it('carries a value of just under a megabyte', async () => {
        const topic = await newTopic(log, 1)
        const value = Buffer.alloc(1_000_000, 'pixels')
        const tail = await collect(log, { topics: [topic], from: 'latest' })
        await log.append([{ topic, key: 'big', value }])
        expect((await readAll(topic))[0]?.value.equals(value)).toBe(true)
        await until('the big record', () => tail.records[0]?.value.equals(value) === true)
        await tail.close()
      })

      it('does nothing when nothing is appended', async () => {
        expect(await log.append([])).toEqual([])
      })

      it('refuses a whole batch when one of its records cannot be taken', async () => {
        const topic = await newTopic(log, 1)
        const missing = unique('missing')
        await expect(log.append([numbered(topic, 1), numbered(missing, 2)])).rejects.toMatchObject({
          code: 'not-found',
        })
        expect(await readAll(topic)).toEqual([])
      })

      it('has all that was answered when it is opened again', async () => {
        const topic = await newTopic(log)
        const answered: number[] = []
        await Promise.all(
          range(0, 200).map(async n => {
            await log.append([numbered(topic, n)])
            answered.push(n)
          }),
        )
        log = await opened.reopen()
        expect(ascending((await readAll(topic)).map(numberOf))).toEqual(ascending(answered))
      })

      it('carries 10,000 records, each once', async () => {
        const topic = await newTopic(log, 4)
        const tail = await collect(log, { topics: [topic], from: 'earliest' })
        await Promise.all(
          range(0, 100).map(batch =>
            log.append(range(batch * 100, batch * 100 + 100).map(n => numbered(topic, n, `k${n % 50}`))),
          ),
        )
        await until('10,000 records', () => tail.records.length >= 10_000)
        expect(ascending(tail.numbers())).toEqual(range(0, 10_000))
        for (const records of Map.groupBy(tail.records, placeOf).values()) {
          const offsets = records.map(({ offset }) => offset)
          expect(offsets).toEqual(ascending(offsets))
        }
        expect(tail.overlaps()).toBe(0)
        await tail.close()
      })
    })

    describe('topics and schemas', () => {
      it('makes a topic once, and adds partitions but never takes any', async () => {
        const topic = await newTopic(log, 2)
        const spec = { name: topic, retention: { maxAgeMs: null, maxBytes: null } }
        await log.append(range(0, 10).map(n => numbered(topic, n)))
        await log.ensureTopics([{ ...spec, partitions: 2 }])
        await log.ensureTopics([{ ...spec, partitions: 4 }])
        await log.ensureTopics([{ ...spec, partitions: 1 }])
        const info = (await log.topics()).find(({ name }) => name === topic)
        expect(info).toMatchObject({ partitions: 4 })
        expect(info?.bounds.map(({ partition }) => partition)).toEqual([0, 1, 2, 3])
        expect(await readAll(topic)).toHaveLength(10)
      })

      it('finds the first offset at or after a time', async () => {
        const topic = await newTopic(log, 1)
        const start = 1_700_000_000_000
        await log.append(range(0, 50).map(n => ({ ...numbered(topic, n), timestamp: start + n * 10 })))
        const at = async (time: number) => (await log.offsetsAt(topic, time)).map(({ offset }) => offset)
        expect(await at(0)).toEqual([0])
        expect(await at(start + 200)).toEqual([20])
        expect(await at(start + 201)).toEqual([21])
        expect(await at(start + 10_000)).toEqual([50])
      })

      it('gives a schema one id, which stays', async () => {
        const subject = unique('subject')
        const schema = JSON.stringify({ type: 'record', name: unique('R').replace('.', ''), fields: [] })
        const other = schema.replace('"fields":[]', '"fields":[{"name":"a","type":"int"}]')
        const [id, again] = await Promise.all([log.schemaId(subject, schema), log.schemaId(subject, schema)])
        expect(again).toBe(id)
        expect(await log.schemaId(unique('other'), other)).not.toBe(id)
        log = await opened.reopen()
        expect(await log.schemaId(subject, schema)).toBe(id)
        expect(JSON.parse(await log.schemaText(id))).toEqual(JSON.parse(schema))
        await expect(log.schemaText(2_000_000_000)).rejects.toMatchObject({ code: 'bad-record' })
      })

      it('says that it is well', async () => {
        await log.check()
      })
    })

    describe('tails', () => {
      it('gives a tail from the end only what comes later', async () => {
        const topic = await newTopic(log)
        await log.append(range(0, 10).map(n => numbered(topic, n)))
        const tail = await collect(log, { topics: [topic], from: 'latest' })
        await log.append(range(10, 20).map(n => numbered(topic, n)))
        await until('ten records', () => tail.records.length >= 10)
        expect(ascending(tail.numbers())).toEqual(range(10, 20))
        await tail.close()
      })

      it('begins a tail at given positions', async () => {
        const topic = await newTopic(log, 1)
        await log.append(range(0, 10).map(n => numbered(topic, n)))
        const positions = [{ topic, partition: 0, offset: 7 }]
        const tail = await collect(log, { topics: [topic], from: 'latest', positions })
        await until('three records', () => tail.records.length >= 3)
        expect(tail.numbers()).toEqual([7, 8, 9])
        await tail.close()
      })

      it('gives every tail every record, in chunks of the size asked for', async () => {
        const topic = await newTopic(log)
        const sizes: number[] = []
        const records = (given: readonly LogRecord[]) => void sizes.push(given.length)
        const tails = await Promise.all([
          collect(log, { topics: [topic], from: 'earliest', maxRecords: 5 }, { records }),
          collect(log, { topics: [topic], from: 'earliest' }),
        ])
        await log.append(range(0, 100).map(n => numbered(topic, n)))
        for (const tail of tails) {
          await until('100 records', () => tail.records.length >= 100)
          expect(ascending(tail.numbers())).toEqual(range(0, 100))
          await tail.close()
        }
        expect(Math.max(...sizes)).toBeLessThanOrEqual(5)
      })

      it('gives nothing after it is closed', async () => {
        const topic = await newTopic(log, 1)
        const [closed, open] = await Promise.all([
          collect(log, { topics: [topic], from: 'latest' }),
          collect(log, { topics: [topic], from: 'latest' }),
        ])
        await closed.close()
        await log.append([numbered(topic, 1)])
        await until('the other tail', () => open.records.length === 1)
        expect(closed.records).toEqual([])
        await open.close()
      })
    })

    groupsContract({
      log: () => log,
      async reopen() {
        log = await opened.reopen()
        return log
      },
      forget: (topic, before) => opened.forget(topic, before),
    })
  })
}
