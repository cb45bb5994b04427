/** Three ways to Kafka under one face, for the benchmark: the log's adapter, bare kafkajs, @platformatic/kafka. */
import { randomUUID } from 'node:crypto'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { CompressionTypes, Kafka, logLevel } from 'kafkajs'
import { openLog } from '../../tests/services/kafka-kit.ts'

export interface BenchRecord {
  key: string
  value: Buffer
}

export interface Session {
  /** Resolves when the client says that all are written. */
  append(topic: string, records: readonly BenchRecord[]): Promise<void>
  /** Reads from the oldest record on, as a new group. @returns how to stop */
  consume(topic: string, onRecord: (value: Buffer) => void): Promise<() => Promise<void>>
  close(): Promise<void>
}

export interface Client {
  name: string
  open(brokers: readonly string[]): Promise<Session>
}

export const ours: Client = {
  name: 'the adapter',
  async open(brokers) {
    const log = await openLog({ brokers: [...brokers] })
    return {
      append: async (topic, records) => void (await log.append(records.map(record => ({ topic, ...record })))),
      async consume(topic, onRecord) {
        const subscription = await log.subscribe(
          { group: randomUUID(), topics: [topic], from: 'earliest' },
          {
            records(records) {
              for (const { value } of records) onRecord(value)
            },
          },
        )
        return () => subscription.close()
      },
      close: () => log.close(),
    }
  },
}

/**
 * All replicas, and not idempotent: with several sends under way its idempotent producer mixes up its sequence numbers and
 * then refuses everything (tulios/kafkajs issues 598 and 1005; seen here too).
 */
export const bareKafkajs: Client = {
  name: 'kafkajs, bare',
  async open(brokers) {
    const kafka = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING })
    const producer = kafka.producer({ allowAutoTopicCreation: false })
    await producer.connect()
    return {
      append: async (topic, records) =>
        void (await producer.send({ topic, acks: -1, compression: CompressionTypes.None, messages: [...records] })),
      async consume(topic, onRecord) {
        const consumer = kafka.consumer({ groupId: randomUUID(), maxWaitTimeInMs: 250 })
        await consumer.connect()
        await consumer.subscribe({ topics: [topic], fromBeginning: true })
        await consumer.run({
          autoCommit: false,
          eachBatch: async ({ batch }) => {
            for (const { value } of batch.messages) if (value) onRecord(value)
          },
        })
        return () => consumer.disconnect()
      },
      close: () => producer.disconnect(),
    }
  },
}

/** What is used of it; it is not a dependency, so its own types are not there. */
interface Platformatic {
  Producer: new (options: object) => { send(options: object): Promise<object>; close(force?: boolean): Promise<void> }
  Consumer: new (
    options: object,
  ) => {
    consume(options: object): Promise<AsyncIterable<{ value: Buffer }> & { close(): Promise<void> }>
    close(force?: boolean): Promise<void>
  }
}

/** @param folder where `npm install @platformatic/kafka` was run */
export async function platformatic(folder: string): Promise<Client> {
  const at = createRequire(join(folder, 'package.json')).resolve('@platformatic/kafka')
  const { Producer, Consumer }: Platformatic = await import(pathToFileURL(at).href)
  return {
    name: '@platformatic/kafka',
    async open(brokers) {
      const base = { clientId: 'bench', bootstrapBrokers: [...brokers] }
      const producer = new Producer({ ...base, idempotent: true, acks: -1 })
      return {
        append: async (topic, records) =>
          void (await producer.send({
            messages: records.map(({ key, value }) => ({ topic, key: Buffer.from(key), value })),
          })),
        async consume(topic, onRecord) {
          const consumer = new Consumer({ ...base, groupId: randomUUID() })
          const stream = await consumer.consume({
            topics: [topic],
            mode: 'earliest',
            autocommit: false,
            maxWaitTime: 250,
            minBytes: 1,
          })
          const reading = (async () => {
            for await (const { value } of stream) onRecord(value)
          })()
          return async () => {
            await stream.close()
            await reading
            await consumer.close(true)
          }
        },
        close: () => producer.close(true),
      }
    },
  }
}
