/** Ways to Kafka under one face, for the benchmark: the log's adapter, bare kafkajs, @platformatic/kafka, librdkafka. */
import { randomUUID } from 'node:crypto'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { CompressionTypes, type Consumer, Kafka, logLevel, type Producer, type ProducerConfig } from 'kafkajs'
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
 * All replicas; idempotent as its manual has it, with one request under way. With several sends under way that one mixes up
 * its sequence numbers and may then refuse everything (tulios/kafkajs issues 598 and 1005; seen here too).
 */
const bare = (name: string, options: ProducerConfig): Client => ({
  name,
  async open(brokers) {
    const kafka = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING })
    const producer = kafka.producer({ allowAutoTopicCreation: false, ...options })
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
})
export const bareKafkajs = bare('kafkajs, bare', {})
export const idempotentKafkajs = bare('kafkajs, bare, idempotent', { idempotent: true, maxInFlightRequests: 1 })

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

/** @param folder where `npm install` of one or both was run; they are no dependencies */
export async function peersOf(folder: string): Promise<Client[]> {
  const { resolve } = createRequire(join(folder, 'package.json'))
  const found = async (name: string, client: (at: string) => Promise<Client>): Promise<Client[]> => {
    try {
      return [await client(resolve(name))]
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'MODULE_NOT_FOUND') return []
      throw error
    }
  }
  return [
    ...(await found('@platformatic/kafka', platformatic)),
    ...(await found('@confluentinc/kafka-javascript', confluent)),
  ]
}

async function platformatic(at: string): Promise<Client> {
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

/** What is used of it. */
interface Confluent {
  KafkaJS: {
    Kafka: new (
      options: object,
    ) => {
      producer(options: object): Pick<Producer, 'connect' | 'send' | 'disconnect'>
      consumer(options: object): Pick<Consumer, 'connect' | 'disconnect'> & {
        subscribe(options: object): Promise<void>
        run(options: object): Promise<void>
      }
    }
  }
}

/** librdkafka through Confluent's binding: idempotent, all replicas, its own batching as it is shipped. */
async function confluent(at: string): Promise<Client> {
  const { KafkaJS }: Confluent = (await import(pathToFileURL(at).href)).default
  return {
    name: '@confluentinc/kafka-javascript',
    async open(brokers) {
      const kafka = new KafkaJS.Kafka({ kafkaJS: { brokers: [...brokers], clientId: 'bench', logLevel: 0 } })
      const producer = kafka.producer({ kafkaJS: { idempotent: true, acks: -1 } })
      await producer.connect()
      return {
        append: async (topic, records) => void (await producer.send({ topic, messages: [...records] })),
        async consume(topic, onRecord) {
          const consumer = kafka.consumer({
            kafkaJS: { groupId: randomUUID(), fromBeginning: true, autoCommit: false },
            'js.consumer.max.batch.size': -1,
          })
          await consumer.connect()
          await consumer.subscribe({ topics: [topic] })
          await consumer.run({
            eachBatch: async ({ batch }: { batch: { messages: { value: Buffer | null }[] } }) => {
              for (const { value } of batch.messages) if (value) onRecord(value)
            },
          })
          return () => consumer.disconnect()
        },
        close: () => producer.disconnect(),
      }
    },
  }
}
