/** Reads what is left of a replay's ranges, in positions of its own: no group, so that live work is not touched. */
import type { EventLog, LogRecord } from '../../kafka/log.ts'
import { topics } from '../../schemas/topics.ts'
import type { Tally } from './tally.ts'

/** Records read at once of one partition; while they are worked on, those of the next partition are read. */
const chunk = 256
/** A broker that has just become the leader may not know of the last records yet: asked so often, so long apart, ms. */
const tries = 3
const againMs = 300

/** Runs it again while a store is away. */
export type Patiently = <T>(work: () => Promise<T>) => Promise<T>

/** The partitions take turns, so that it goes about in the order of time. */
export async function* recordsOf(
  log: Pick<EventLog, 'read'>,
  tally: Tally,
  { patiently, sleep }: { patiently: Patiently; sleep(ms: number): Promise<void> },
): AsyncGenerator<LogRecord> {
  let parts = tally.left().map(part => ({ ...part, read: undefined as Promise<LogRecord[]> | undefined, empty: 0 }))
  type Part = (typeof parts)[number]

  const ahead = (part: Part | undefined): Promise<LogRecord[]> | undefined => {
    if (!part) return undefined
    const { partition, next: offset } = part
    part.read ??= patiently(() => log.read({ topic: topics.instances.name, partition, offset }, chunk))
    // Whoever awaits it hears of a failure; if the reader left meanwhile, nobody needs to.
    part.read.catch(() => undefined)
    return part.read
  }

  while (parts.length > 0) {
    for (const [at, part] of parts.entries()) {
      const records = (await ahead(part)) ?? []
      part.read = undefined
      ahead(parts[at + 1])
      const within = records.filter(({ offset }) => offset >= part.next && offset < part.to)
      yield* within
      const last = within.at(-1)
      // Those of a later offset alone: what was in between is not kept any more.
      part.empty = records.length === 0 ? part.empty + 1 : 0
      if (last) part.next = last.offset + 1
      else if (part.empty === 0 || part.empty >= tries) part.next = part.to
      else await sleep(againMs)
      if (part.next >= part.to) tally.close(part.partition)
    }
    parts = parts.filter(({ next, to }) => next < to)
  }
}
