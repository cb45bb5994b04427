/**
 * Reads ranges without a group, straight from each partition's leader. kafkajs has no public call for that: a group of
 * one would cost seconds to join and leave traces on the broker. The cluster and batch classes are those of the pinned
 * version (see guards.ts).
 */
import { createRequire } from 'node:module'
import type { Kafka, KafkaMessage } from 'kafkajs'
import type { LogRecord, Position } from '../log.ts'
import { toLogRecord } from './records.ts'

const require = createRequire(import.meta.url)

interface Broker {
  fetch(request: {
    maxWaitTime: number
    minBytes: number
    maxBytes: number
    isolationLevel: number
    topics: { topic: string; partitions: { partition: number; fetchOffset: string; maxBytes: number }[] }[]
  }): Promise<{ responses: { topicName: string; partitions: { partition: number }[] }[] }>
}

interface Cluster {
  connect(): Promise<void>
  disconnect(): Promise<void>
  addMultipleTargetTopics(topics: readonly string[]): Promise<void>
  refreshMetadata(): Promise<void>
  refreshMetadataIfNecessary(): Promise<void>
  findTopicPartitionMetadata(topic: string): { partitionId: number; leader: number }[]
  findBroker(options: { nodeId: number }): Promise<Broker>
}

interface Batch {
  topic: string
  partition: number
  messages: KafkaMessage[]
  lastOffset(): string
}

const readCommitted = 1

export interface Fetched {
  records: LogRecord[]
  /** Where to go on: past control records too, which are not records of ours. */
  next: Position[]
}

export interface Fetcher {
  /** Leader of each position, so that one request goes to each. */
  leaders(positions: readonly Position[]): Promise<Map<number, Position[]>>
  /** One request to one leader. Waits up to `maxWaitMs` at the end of the log. */
  fetch(
    leader: number,
    positions: readonly Position[],
    limits: { maxWaitMs: number; maxBytes: number },
  ): Promise<Fetched>
  refresh(): Promise<void>
  close(): Promise<void>
}

export async function openFetcher(kafka: Kafka, topics: readonly string[]): Promise<Fetcher> {
  const symbol = Object.getOwnPropertySymbols(kafka).find(({ description }) => description?.endsWith(':createCluster'))
  const create: unknown = symbol && Reflect.get(kafka, symbol)
  if (typeof create !== 'function') throw new Error('kafkajs is not the version that fetcher.ts was written for')
  const cluster: Cluster = create({ metadataMaxAge: 300_000, allowAutoTopicCreation: false, maxInFlightRequests: null })
  const BatchClass: new (topic: string, offset: string, data: object) => Batch = require('kafkajs/src/consumer/batch')
  await cluster.connect()
  await cluster.addMultipleTargetTopics(topics)
  await cluster.refreshMetadataIfNecessary()

  return {
    async leaders(positions) {
      await cluster.refreshMetadataIfNecessary()
      const byLeader = new Map<number, Position[]>()
      for (const position of positions) {
        const known = cluster.findTopicPartitionMetadata(position.topic)
        const leader = known.find(({ partitionId }) => partitionId === position.partition)?.leader
        if (leader === undefined || leader < 0) throw new Error(`${position.topic}/${position.partition} has no leader`)
        byLeader.set(leader, [...(byLeader.get(leader) ?? []), position])
      }
      return byLeader
    },
    async fetch(leader, positions, { maxWaitMs, maxBytes }) {
      const broker = await cluster.findBroker({ nodeId: leader })
      const topicNames = [...new Set(positions.map(({ topic }) => topic))]
      const { responses } = await broker.fetch({
        maxWaitTime: maxWaitMs,
        minBytes: 1,
        maxBytes,
        isolationLevel: readCommitted,
        topics: topicNames.map(topic => ({
          topic,
          partitions: positions
            .filter(position => position.topic === topic)
            .map(({ partition, offset }) => ({ partition, fetchOffset: String(offset), maxBytes })),
        })),
      })
      const fetched: Fetched = { records: [], next: [] }
      for (const { topicName: topic, partitions } of responses) {
        for (const data of partitions) {
          const from = positions.find(p => p.topic === topic && p.partition === data.partition)
          if (!from) continue
          const batch = new BatchClass(topic, String(from.offset), data)
          fetched.records.push(...batch.messages.map(message => toLogRecord(topic, data.partition, message)))
          const last = Number(batch.lastOffset())
          fetched.next.push({ ...from, offset: Math.max(from.offset, last + 1) })
        }
      }
      return fetched
    },
    refresh: () => cluster.refreshMetadata(),
    close: () => cluster.disconnect(),
  }
}
