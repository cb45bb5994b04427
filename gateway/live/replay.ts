/** What a client missed, out of the log: which records, and in which order. */
import type { EventLog, TopicInfo } from '../../kafka/log.ts'
import { partitionName } from './items.ts'
import type { JoinRequest } from './messages.ts'

export interface Range {
  topic: string
  partition: number
  /** First offset to read. */
  from: number
  /** Past the last. */
  to: number
}

export interface ReplayPlan {
  ranges: Range[]
  /** More was missed than is read again, or the log no longer has it. */
  truncated: boolean
}

export interface PlanOptions {
  topics: readonly TopicInfo[]
  /** In the order in which they are read. */
  names: readonly string[]
  /** Up to where each partition has been pushed; what follows comes live. */
  pushed: ReadonlyMap<string, number>
  request: Pick<JoinRequest, 'after' | 'recent'>
  maxRecords: number
}

/** Ranges end at or after what has been pushed, so that replay and live meet. */
export function planReplay({ topics, names, pushed, request, maxRecords }: PlanOptions): ReplayPlan {
  let truncated = false
  const missed: Range[] = []
  for (const topic of names) {
    for (const { partition, low, high } of topics.find(({ name }) => name === topic)?.bounds ?? []) {
      const key = partitionName({ topic, partition })
      const seen = request.after[key]
      const to = Math.max(high, pushed.get(key) ?? 0)
      const wanted = seen === undefined ? to - request.recent : seen + 1
      // Past the end: the log was made anew since, and offsets of the old one mean nothing.
      if (wanted > to || (seen !== undefined && wanted < low)) truncated = true
      const from = wanted > to ? Math.max(low, to - maxRecords) : Math.max(low, wanted)
      // An empty range says that the client has seen all, even what the tail has yet to bring.
      if (from < to || seen !== undefined) missed.push({ topic, partition, from: Math.min(from, to), to })
    }
  }
  const total = missed.reduce((sum, { from, to }) => sum + to - from, 0)
  if (total <= maxRecords) return { ranges: missed, truncated }
  const share = maxRecords / total
  const ranges = missed.map(range => ({ ...range, from: range.to - Math.floor((range.to - range.from) * share) }))
  return { ranges, truncated: true }
}

const chunk = 200

/** The records of a range, in order; fewer where the log no longer has them. */
export async function* readRange(log: EventLog, { topic, partition, from, to }: Range) {
  let offset = from
  while (offset < to) {
    const records = await log.read({ topic, partition, offset }, Math.min(chunk, to - offset))
    const within = records.filter(record => record.offset < to)
    if (within.length === 0) return
    yield within
    offset = (within.at(-1)?.offset ?? to) + 1
  }
}
