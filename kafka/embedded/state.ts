/**
 * What the embedded log knows without asking its thread: bounds of partitions, committed offsets, and the newest records.
 * Exact, since every change of the file goes through this process.
 */
import { RaylogError } from '../../schemas/errors.ts'
import type { LogRecord, Position, TopicInfo, TopicPartition } from '../log.ts'
import type { Hello } from './wire.ts'

export interface PartitionState extends TopicPartition {
  low: number
  high: number
  recent: Recent
}

export const nameOf = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`

/**
 * Bounds of what is kept of one partition: subscribers at the end of the log are served from here. There are some sixty
 * partitions, and each record has an object, a key and memory of its own: four times as much came to 80 MB.
 */
const most = { records: 500, bytes: 256 * 1024 }

/** The newest records of a partition, without a gap up to its end. */
class Recent {
  #records: LogRecord[] = []
  #bytes = 0

  push(record: LogRecord): void {
    const last = this.#records.at(-1)
    if (last && last.offset + 1 !== record.offset) this.#clear()
    this.#records.push(record)
    this.#bytes += record.value.byteLength
    if (this.#records.length > most.records || this.#bytes > most.bytes) this.#forgetOlderHalf()
  }

  /** Records from `offset` on; undefined where they are not all here. */
  from(offset: number, max: number): LogRecord[] | undefined {
    const first = this.#records[0]
    const at = first ? offset - first.offset : -1
    if (at < 0 || at >= this.#records.length) return undefined
    return this.#records.slice(at, at + max)
  }

  #clear(): void {
    this.#records = []
    this.#bytes = 0
  }

  #forgetOlderHalf(): void {
    this.#records = this.#records.slice(Math.ceil(this.#records.length / 2))
    this.#bytes = this.#records.reduce((sum, record) => sum + record.value.byteLength, 0)
  }
}

export class LogState {
  #topics = new Map<string, { info: Omit<TopicInfo, 'bounds'>; parts: PartitionState[] }>()
  #committed = new Map<string, Map<string, Position>>()

  /** At each opening of the thread: what is in the file is what counts. */
  hello({ topics, offsets }: Hello): void {
    this.topicsAre(topics)
    for (const { group, ...position } of offsets) this.committed(group, [position])
  }

  topicsAre(topics: readonly TopicInfo[]): void {
    for (const { bounds, ...info } of topics) {
      const present = this.#topics.get(info.name)?.parts ?? []
      const parts = bounds.map(({ partition, low, high }) => {
        const part = present[partition] ?? { topic: info.name, partition, low, high, recent: new Recent() }
        part.low = Math.max(part.low, low)
        part.high = Math.max(part.high, high)
        return part
      })
      this.#topics.set(info.name, { info, parts })
    }
  }

  infos(): TopicInfo[] {
    return [...this.#topics.values()].map(({ info, parts }) => ({
      ...info,
      bounds: parts.map(({ partition, low, high }) => ({ partition, low, high })),
    }))
  }

  names(): string[] {
    return [...this.#topics.keys()]
  }

  /** @throws RaylogError not-found */
  parts(topic: string): readonly PartitionState[] {
    const found = this.#topics.get(topic)
    if (!found) throw new RaylogError('not-found', `no topic ${topic} on the log`)
    return found.parts
  }

  part({ topic, partition }: TopicPartition): PartitionState | undefined {
    return this.#topics.get(topic)?.parts[partition]
  }

  committed(group: string, next: readonly Position[]): void {
    const offsets = this.#committed.get(group) ?? new Map<string, Position>()
    this.#committed.set(group, offsets)
    for (const { topic, partition, offset } of next)
      offsets.set(nameOf({ topic, partition }), { topic, partition, offset })
  }

  offsetOf(group: string, of: TopicPartition): number | undefined {
    return this.#committed.get(group)?.get(nameOf(of))?.offset
  }

  offsets(group: string): Position[] {
    return [...(this.#committed.get(group)?.values() ?? [])]
  }

  groups(): string[] {
    return [...this.#committed.keys()]
  }
}
