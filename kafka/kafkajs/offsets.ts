/** Offsets of partitions: the bounds, and the first at or after a time. Each leader is asked for its own. */
import type { Clock } from '../../monitoring/clock.ts'
import type { Position } from '../log.ts'
import { patiently } from './faults.ts'
import type { Kafkajs } from './protocol.ts'
import type { Wire } from './wire.ts'

export interface Bound {
  partition: number
  low: number
  high: number
}

export type Offsets = ReturnType<typeof createOffsets>

/** Kafka's words for the two ends of a partition. */
const newest = -1
const oldest = -2
const patienceMs = 20_000

export function createOffsets({ wire, kafkajs, clock }: { wire: Wire; kafkajs: Kafkajs; clock: Clock }) {
  async function askLeader(leader: number, topic: string, partitions: readonly number[], timestamp: number) {
    const link = await wire.to(leader, 'any')
    const { responses } = await link.send(
      'ListOffsets',
      {
        replicaId: -1,
        isolationLevel: 1,
        topics: [{ topic, partitions: partitions.map(partition => ({ partition, timestamp })) }],
      },
      { raw: true },
    )
    return responses.flatMap(({ partitions: answers }) =>
      answers.map(({ partition, errorCode, offset }) => {
        if (errorCode !== 0) throw kafkajs.errorFromCode(errorCode)
        return { topic, partition, offset: Number(offset) }
      }),
    )
  }

  /** For each partition, ordered. Offset -1: no record is so young. */
  async function at(topic: string, timestamp: number): Promise<Position[]> {
    const count = await wire.partitionsOf(topic)
    const found = await patiently(
      async () => {
        const all = Array.from({ length: count }, (_, partition) => partition)
        const byLeader = Map.groupBy(all, partition => wire.leaderOf({ topic, partition }))
        return Promise.all([...byLeader].map(([leader, partitions]) => askLeader(leader, topic, partitions, timestamp)))
      },
      { clock, deadlineMs: patienceMs, between: wire.refresh },
    )
    return found.flat().sort((a, b) => a.partition - b.partition)
  }

  const lows = (topic: string): Promise<Position[]> => at(topic, oldest)
  const highs = (topic: string): Promise<Position[]> => at(topic, newest)

  return {
    lows,
    highs,
    async bounds(topic: string): Promise<Bound[]> {
      const [low, high] = await Promise.all([lows(topic), highs(topic)])
      return low.map(({ partition, offset }) => ({
        partition,
        low: offset,
        high: high.find(one => one.partition === partition)?.offset ?? offset,
      }))
    },
    /** The high bound where no record is so young. */
    async atTime(topic: string, time: number): Promise<Position[]> {
      const [found, high] = await Promise.all([at(topic, time), highs(topic)])
      return found.map((position, index) =>
        position.offset >= 0 ? position : { ...position, offset: high[index]?.offset ?? 0 },
      )
    },
  }
}
