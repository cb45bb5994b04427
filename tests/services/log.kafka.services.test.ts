/** The log's contract, on Apache Kafka and a schema registry. */
import { Kafka, logLevel } from 'kafkajs'
import pino from 'pino'
import { afterAll } from 'vitest'
import { type KafkaSettings, openKafkaLog } from '../../kafka/kafkajs/log.ts'
import { systemClock } from '../../monitoring/clock.ts'
import { logContract } from '../contract/log.ts'
import { startKafka } from './servers/kafka.ts'
import { startRegistry } from './servers/registry.ts'

const [kafka, registry] = await Promise.all([startKafka(), startRegistry()])
afterAll(async () => {
  await kafka[Symbol.asyncDispose]()
  await registry[Symbol.asyncDispose]()
})

const settings: KafkaSettings = {
  brokers: kafka.brokers,
  clientId: 'contract',
  ssl: false,
  sasl: null,
  replication: 1,
  maxRecordBytes: 8_000_000,
  registry: { url: registry.url, auth: null },
  sessionTimeoutMs: 3_000,
  heartbeatMs: 500,
  rebalanceTimeoutMs: 20_000,
}
const open = () => openKafkaLog({ settings, clock: systemClock, logger: pino({ level: 'silent' }) })

logContract(
  'the log on Kafka',
  async () => {
    let log = await open()
    return {
      log,
      async reopen() {
        // As after a crash: the brokers hear of it when its sessions end.
        log.abandon()
        log = await open()
        return log
      },
      async forget(topic, before) {
        const admin = new Kafka({ brokers: kafka.brokers, logLevel: logLevel.NOTHING }).admin()
        await admin.connect()
        await admin.fetchTopicOffsets(topic) // which makes this admin know the topic: deleteTopicRecords does not
        await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: String(before) }] })
        await admin.disconnect()
      },
      close: () => log.close(),
    }
  },
  { dense: false },
)
