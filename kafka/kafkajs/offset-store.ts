/** What groups have committed, read and set without being a member. */
import type { Clock } from '../../monitoring/clock.ts'
import { RaylogError } from '../../schemas/errors.ts'
import type { Lag, Position, TopicPartition } from '../log.ts'
import { patiently, typeOf } from './faults.ts'
import type { Link } from './link.ts'
import type { Offsets } from './offsets.ts'
import type { Kafkajs, PerTopic } from './protocol.ts'
import type { Wire } from './wire.ts'

const patienceMs = 20_000

export function toTopics(positions: readonly Position[]): PerTopic<{ partition: number; offset: string }>[] {
  return [...Map.groupBy(positions, ({ topic }) => topic)].map(([topic, ofTopic]) => ({
    topic,
    partitions: ofTopic.map(({ partition, offset }) => ({ partition, offset: String(offset) })),
  }))
}

/** @param partitions none: all that the group has; @returns those that have an offset */
export async function fetchCommitted(
  coordinator: () => Promise<Link>,
  groupId: string,
  partitions: readonly TopicPartition[],
  kafkajs: Kafkajs,
): Promise<Position[]> {
  const link = await coordinator()
  const topics = [...Map.groupBy(partitions, ({ topic }) => topic)].map(([topic, ofTopic]) => ({
    topic,
    partitions: ofTopic.map(({ partition }) => ({ partition })),
  }))
  const { responses } = await link.send('OffsetFetch', { groupId, topics }, { raw: true })
  return responses.flatMap(({ topic, partitions: answers }) =>
    answers.flatMap(({ partition, offset, errorCode }) => {
      if (errorCode !== 0) throw kafkajs.errorFromCode(errorCode)
      return Number(offset) >= 0 ? [{ topic, partition, offset: Number(offset) }] : []
    }),
  )
}

/** Only members may commit while there are some. */
const membersSay = new Set(['UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION', 'REBALANCE_IN_PROGRESS'])

export type OffsetStore = ReturnType<typeof createOffsetStore>

export function createOffsetStore(options: { wire: Wire; kafkajs: Kafkajs; offsets: Offsets; clock: Clock }) {
  const { wire, kafkajs, offsets, clock } = options
  const patience = { clock, deadlineMs: patienceMs }

  const committed = (group: string, partitions: readonly TopicPartition[] = []): Promise<Position[]> =>
    patiently(() => fetchCommitted(() => wire.coordinator(group, 'any'), group, partitions, kafkajs), patience)

  /** @returns false where the group has members, whose right it is */
  async function set(group: string, next: readonly Position[]): Promise<boolean> {
    return await patiently(async () => {
      const link = await wire.coordinator(group, 'any')
      const nobody = { memberId: '', groupGenerationId: -1 }
      try {
        await link.send('OffsetCommit', { groupId: group, ...nobody, topics: toTopics(next) })
        return true
      } catch (error) {
        if (membersSay.has(typeOf(error))) return false
        throw error
      }
    }, patience)
  }

  return {
    committed,
    set,
    /** @throws RaylogError bad-request where the group has members, or a position is none */
    async seek(group: string, next: readonly Position[]): Promise<void> {
      for (const { topic, partition, offset } of next) {
        const count = await wire.partitionsOf(topic)
        if (!(partition >= 0 && partition < count) || !Number.isSafeInteger(offset) || offset < 0)
          throw new RaylogError('bad-request', `no position ${topic}/${partition}/${offset}`)
      }
      if (next.length > 0 && !(await set(group, next)))
        throw new RaylogError('bad-request', `group ${group} has members; stop them before it is moved`)
    },
    async lag(group: string): Promise<Lag[]> {
      const positions = await committed(group)
      const names = [...new Set(positions.map(({ topic }) => topic))]
      const bounds = new Map(await Promise.all(names.map(async name => [name, await offsets.bounds(name)] as const)))
      return positions
        .map(({ topic, partition, offset }) => {
          const { low = 0, high = 0 } = bounds.get(topic)?.find(bound => bound.partition === partition) ?? {}
          return { topic, partition, committed: offset, high, lag: Math.max(0, high - Math.max(offset, low)) }
        })
        .sort((a, b) => (a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1))
    },
    /** Those of consumers; a broker knows of the groups that it coordinates. */
    async groups(): Promise<string[]> {
      const nodes = await wire.nodeIds()
      const answers = await Promise.all(
        nodes.map(node => patiently(async () => (await wire.to(node, 'any')).send('ListGroups', undefined), patience)),
      )
      return [...new Set(answers.flatMap(({ groups }) => groups.map(({ groupId }) => groupId)))].sort()
    },
  }
}
