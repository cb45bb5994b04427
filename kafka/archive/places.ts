/** Where each record of an export goes in the log that takes it in, and where the stages stood, told in those offsets. */
import type { Position, TopicPartition } from '../log.ts'
import type { ArchiveHeader } from './format.ts'

export interface Places {
  /** To be asked for each record, in the file's order. */
  next(from: Position, partition: number): Position
  /** When all have been asked for: for each group and each partition of its topics, the offset that it reads next. */
  groups(partitions: ReadonlyMap<string, number>): { group: string; positions: Position[] }[]
}

const nameOf = ({ topic, partition }: TopicPartition) => `${topic}/${partition}`

/** Offsets count from 0 in each partition: it was empty when the import began. */
export function createPlaces({ groups }: ArchiveHeader): Places {
  const counts = new Map<string, number>()
  const byGroup = [...Map.groupBy(groups, ({ group }) => group)].map(([group, positions]) => ({
    group,
    topics: [...new Set(positions.map(({ topic }) => topic))],
    undone: new Map(positions.map(position => [nameOf(position), position.next])),
    /** Lowest offset of a record that the group had not done. */
    first: new Map<string, number>(),
  }))
  return {
    next(from, partition) {
      const to = { topic: from.topic, partition }
      const offset = counts.get(nameOf(to)) ?? 0
      counts.set(nameOf(to), offset + 1)
      for (const { undone, first } of byGroup) {
        const next = undone.get(nameOf(from))
        if (next !== undefined && from.offset >= next && !first.has(nameOf(to))) first.set(nameOf(to), offset)
      }
      return { ...to, offset }
    },
    groups: partitions =>
      byGroup.map(({ group, topics, first }) => ({
        group,
        positions: topics.flatMap(topic =>
          Array.from({ length: partitions.get(topic) ?? 0 }, (_, partition) => {
            const name = nameOf({ topic, partition })
            return { topic, partition, offset: first.get(name) ?? counts.get(name) ?? 0 }
          }),
        ),
      })),
  }
}
