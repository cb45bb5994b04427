/**
 * A member of a group in a process of its own, for tests that kill it. Says each thing that happens to it as a line of JSON.
 * @example node tests/services/kafka-member.ts '{"brokers":["127.0.0.1:9092"],"group":"g","topic":"t"}'
 */
import { setTimeout as wait } from 'node:timers/promises'
import { z } from 'zod'
import type { TopicPartition } from '../../kafka/log.ts'
import { openLog } from './kafka-kit.ts'

const options = z
  .strictObject({
    brokers: z.array(z.string()),
    group: z.string(),
    topic: z.string(),
    sessionTimeoutMs: z.number().default(6_000),
    instanceId: z.string().nullable().default(null),
    /** What handling one record takes, ms. */
    handleMs: z.number().default(0),
  })
  .parse(JSON.parse(process.argv[2] ?? '{}'))

const say = (what: object): void => void process.stdout.write(`${JSON.stringify({ ...what, at: Date.now() })}\n`)
const partitionsOf = (partitions: readonly TopicPartition[]) => partitions.map(({ partition }) => partition)

const { brokers, group, topic, sessionTimeoutMs, instanceId, handleMs } = options
const log = await openLog({ brokers }, { sessionTimeoutMs, instanceId })
let handling = 0
const subscription = await log.subscribe(
  { group, topics: [topic], from: 'earliest', maxRecords: 20 },
  {
    async records(records) {
      handling++
      for (const { value, partition, offset } of records) {
        if (handleMs > 0) await wait(handleMs)
        say({ kind: 'record', n: Number(value.toString()), partition, offset })
      }
      const last = records.at(-1)
      if (last) await subscription.commit([{ topic, partition: last.partition, offset: last.offset + 1 }])
      handling--
    },
    assigned: partitions => say({ kind: 'assigned', partitions: partitionsOf(partitions) }),
    revoked: partitions => say({ kind: 'revoked', partitions: partitionsOf(partitions), handling }),
    failed: error => say({ kind: 'failed', message: error.message }),
  },
)
process.once('SIGTERM', async () => {
  say({ kind: 'stopping' })
  await log.close()
  say({ kind: 'stopped' })
})
