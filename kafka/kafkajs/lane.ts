/** What waits for one partition, and the batch that is under way to it. */
import type { ProduceMessage } from './protocol.ts'

export interface Outgoing {
  message: ProduceMessage
  bytes: number
}

export interface Identity {
  producerId: string
  producerEpoch: number
}

export interface Waiting {
  records: readonly Outgoing[]
  bytes: number
  deadline: number
  resolve(offsets: number[]): void
  reject(error: Error): void
}

export interface Batch {
  parts: Waiting[]
  messages: ProduceMessage[]
  bytes: number
  deadline: number
  sequence: number
}

export interface Lane {
  topic: string
  partition: number
  waiting: Waiting[]
  batch: Batch | undefined
  sent: boolean
  /** Waits until it is known again who leads the partition. */
  held: boolean
  identity: Identity | undefined
  sequence: number
}

/** Brokers take batches of 1 MB from topics that nobody configured. */
const maxBatchBytes = 900_000

export const emptyLane = (topic: string, partition: number): Lane => ({
  topic,
  partition,
  waiting: [],
  batch: undefined,
  sent: false,
  held: false,
  identity: undefined,
  sequence: 0,
})

/** The lane's next batch, made of what waits. */
export function fill(lane: Lane): void {
  if (lane.batch || lane.waiting.length === 0) return
  let count = 0
  let bytes = 0
  for (const waiting of lane.waiting) {
    if (count > 0 && bytes + waiting.bytes > maxBatchBytes) break
    bytes += waiting.bytes
    count++
  }
  const parts = lane.waiting.splice(0, count)
  lane.batch = {
    parts,
    messages: parts.flatMap(({ records }) => records.map(({ message }) => message)),
    bytes,
    deadline: Math.min(...parts.map(({ deadline }) => deadline)),
    sequence: -1,
  }
}
