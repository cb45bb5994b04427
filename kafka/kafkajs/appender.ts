/** Appends batches of records: all of them are checked before any is sent, and each goes to the partition of its key. */
import type { Clock } from '../../monitoring/clock.ts'
import { RaylogError } from '../../schemas/errors.ts'
import type { NewRecord, Position } from '../log.ts'
import { partitionOf } from '../murmur2.ts'
import type { Outgoing } from './lane.ts'
import type { Producer } from './producer.ts'
import { sizeOf, toMessage } from './records.ts'

export interface AppenderOptions {
  producer: Producer
  /** @throws RaylogError not-found */
  partitionsOf: (topic: string) => Promise<number>
  clock: Clock
  maxRecordBytes: number
}

interface Placed {
  outgoing: Outgoing
  /** Its place in what was asked for. */
  index: number
  topic: string
  partition: number
}

/** @throws RaylogError too-large, bad-request, not-found before anything is sent; log-unavailable when it is not known to be written */
export function createAppend({ producer, partitionsOf, clock, maxRecordBytes }: AppenderOptions) {
  function refuse({ topic, value, timestamp }: NewRecord): void {
    if (value.byteLength > maxRecordBytes)
      throw new RaylogError(
        'too-large',
        `a record of ${topic} has ${value.byteLength} bytes, above kafka.maxRecordBytes (${maxRecordBytes})`,
      )
    if (timestamp !== undefined && !(Number.isSafeInteger(timestamp) && timestamp >= 0))
      throw new RaylogError('bad-request', `a record for ${topic} has a timestamp that is not ms since the epoch`)
  }

  async function place(records: readonly NewRecord[]): Promise<Placed[]> {
    const now = clock.now()
    // The caller may use its buffers again as soon as this function has returned a promise.
    const outgoing = records.map(record => ({ message: toMessage(record, now), bytes: sizeOf(record) }))
    const names = [...new Set(records.map(({ topic }) => topic))]
    const counts = new Map(await Promise.all(names.map(async name => [name, await partitionsOf(name)] as const)))
    return records.flatMap(({ topic, key }, index) => {
      const mine = outgoing[index]
      const partition = partitionOf(Buffer.from(key), counts.get(topic) ?? 1)
      return mine ? [{ outgoing: mine, index, topic, partition }] : []
    })
  }

  return async (records: readonly NewRecord[]): Promise<Position[]> => {
    if (records.length === 0) return []
    for (const record of records) refuse(record)
    const placed = await place(records)
    const positions: Position[] = placed.map(({ topic, partition }) => ({ topic, partition, offset: -1 }))
    const groups = [...Map.groupBy(placed, ({ topic, partition }) => `${topic}/${partition}`).values()]
    const outcomes = await Promise.allSettled(
      groups.map(async group => {
        const [first] = group
        if (!first) return
        const offsets = await producer.write(
          first.topic,
          first.partition,
          group.map(({ outgoing }) => outgoing),
        )
        for (const [at, { index }] of group.entries()) {
          const position = positions[index]
          if (position) position.offset = offsets[at] ?? -1
        }
      }),
    )
    const failed = outcomes.find(outcome => outcome.status === 'rejected')
    if (failed) throw failed.reason
    return positions
  }
}
