/**
 * Which member gets which partition, decided by the group's leader: each topic's partitions in turn over the members that
 * read it. The bytes are those of Kafka's own consumers (ConsumerProtocol, version 0), so that its tools show them.
 */
import type { TopicPartition } from '../log.ts'
import type { Kafkajs } from './protocol.ts'

export const protocolName = 'roundrobin'

export interface GroupMember {
  memberId: string
  topics: readonly string[]
}

/** @param partitions how many each topic has */
export function assign(
  members: readonly GroupMember[],
  partitions: ReadonlyMap<string, number>,
): Map<string, TopicPartition[]> {
  const shares = new Map(members.map(({ memberId }) => [memberId, [] as TopicPartition[]]))
  const sorted = members.toSorted((a, b) => (a.memberId < b.memberId ? -1 : 1))
  let turn = 0
  for (const topic of [...partitions.keys()].sort()) {
    const readers = sorted.filter(({ topics }) => topics.includes(topic))
    if (readers.length === 0) continue
    for (let partition = 0; partition < (partitions.get(topic) ?? 0); partition++) {
      const reader = readers[turn++ % readers.length]
      if (reader) shares.get(reader.memberId)?.push({ topic, partition })
    }
  }
  return shares
}

export const encodeTopics = (topics: readonly string[], { assigners }: Kafkajs): Buffer =>
  assigners.MemberMetadata.encode({ version: 0, topics })

export const decodeTopics = (raw: Buffer, { assigners }: Kafkajs): string[] =>
  assigners.MemberMetadata.decode(raw).topics

export function encodeShare(share: readonly TopicPartition[], { assigners }: Kafkajs): Buffer {
  const byTopic = Map.groupBy(share, ({ topic }) => topic)
  const assignment = Object.fromEntries(
    [...byTopic].map(([topic, ofTopic]) => [topic, ofTopic.map(({ partition }) => partition)]),
  )
  return assigners.MemberAssignment.encode({ version: 0, assignment })
}

export function decodeShare(raw: Buffer, { assigners }: Kafkajs): TopicPartition[] {
  const { assignment = {} } = assigners.MemberAssignment.decode(raw) ?? {}
  return Object.entries(assignment).flatMap(([topic, partitions]) =>
    partitions.map(partition => ({ topic, partition })),
  )
}
