/**
 * How far a replay is, and what became of the events so far: kept together, so that after a crash no event is counted
 * twice or not at all. Events finish in any order; a partition's offset passes, and counts, only what is done below it.
 */
import { noCounts, type ReplayCounts, type ReplayRange, type ReplayRunDoc } from '../../schemas/replay.ts'

export type Outcome = Exclude<keyof ReplayCounts, 'read'>

interface Entry {
  offset: number
  outcome: Outcome | 'no-event' | undefined
  code: string | undefined
}

interface Part {
  partition: number
  to: number
  /** Offset of the next event, were it to be read again now. */
  next: number
  /** In the order of the log; done ones at the head leave at once. */
  open: Entry[]
  head: number
}

export class Tally {
  readonly #parts: Part[]
  readonly #counts: ReplayCounts
  readonly #codes: Record<string, number>

  /** @param from where an earlier term came to */
  constructor(ranges: readonly ReplayRange[], from?: Pick<ReplayRunDoc, 'next' | 'counts' | 'codes'>) {
    this.#parts = ranges.map(({ partition, from: first, to }) => {
      const next = from?.next.find(position => position.partition === partition)?.offset ?? first
      return { partition, to, next, open: [], head: 0 }
    })
    this.#counts = { ...(from?.counts ?? noCounts) }
    this.#codes = { ...from?.codes }
  }

  /** Partitions with events that are still to be read, in this process. */
  left(): { partition: number; next: number; to: number }[] {
    return this.#parts.flatMap(({ partition, next, to }) => (next < to ? [{ partition, next, to }] : []))
  }

  /** Offsets of a partition must grow; they need not be dense. @returns call it once, when the event is done */
  begin(partition: number, offset: number): (outcome: Outcome, code?: string) => void {
    return this.#enter(partition, offset)
  }

  /** Nothing more is to be read of a partition. */
  close(partition: number): void {
    const part = this.#part(partition)
    if (part) this.#enter(partition, part.to - 1)('no-event')
  }

  /** Events below the offsets, and no others. */
  snapshot(): Pick<ReplayRunDoc, 'next' | 'counts' | 'codes'> {
    const next = this.#parts.map(part => ({ partition: part.partition, offset: part.next }))
    return { next, counts: { ...this.#counts }, codes: { ...this.#codes } }
  }

  #part(partition: number): Part | undefined {
    return this.#parts.find(part => part.partition === partition)
  }

  #enter(partition: number, offset: number): (outcome: Outcome | 'no-event', code?: string) => void {
    const part = this.#part(partition)
    const entry: Entry = { offset, outcome: undefined, code: undefined }
    part?.open.push(entry)
    return (outcome, code) => {
      entry.outcome = outcome
      entry.code = code
      if (part) this.#advance(part)
    }
  }

  #advance(part: Part): void {
    for (let entry = part.open[part.head]; entry?.outcome; entry = part.open[++part.head]) {
      part.next = entry.offset + 1
      if (entry.outcome === 'no-event') continue
      this.#counts.read += 1
      this.#counts[entry.outcome] += 1
      if (entry.code) this.#codes[entry.code] = (this.#codes[entry.code] ?? 0) + 1
    }
    if (part.head > 1_024 || part.head === part.open.length) {
      part.open = part.open.slice(part.head)
      part.head = 0
    }
  }
}
