/** Appends records to the segment in hand: whatever comes while one write runs goes with the next, in one piece. */
import { alignedMemory, pageBytes } from '../direct.ts'
import { type RecordHead, recordBytes, writeRecordHead, writeSegmentHead } from './records.ts'
import type { Place, Segment } from './segment.ts'

export interface Placed {
  segment: Segment
  place: Place
  /** It is not durable: its batch was not written, or not all of it. */
  failure?: { because: unknown }
}

export interface Batches {
  /** Resolves when the object and its note are durable, or could not be made so; undefined where there is no segment for it. */
  add(bytes: Uint8Array, of: Pick<RecordHead, 'sha256' | 'note'>): Promise<Placed | undefined>
  /** Runs while nothing is written, and when all that was added before is. */
  alone(work: () => Promise<void>): Promise<void>
  /** The segment that records go to. */
  readonly current: Segment | undefined
}

/** One batch, bytes; there are two, one being filled while the other is written. */
const batchBytes = 8 * 1024 * 1024

/** Larger objects have files of their own from the start, bytes. */
export const largestArrival = 1024 * 1024

interface Batch {
  memory: Buffer
  used: number
  /** Where it goes. */
  segment: Segment | undefined
  base: number
  waiting: PromiseWithResolvers<void>
}

/** @param next the segment to go on with, begun anew; undefined where there is none */
export function createBatches(next: () => Segment | undefined): Batches {
  const empty = (memory: Buffer): Batch => {
    const waiting = Promise.withResolvers<void>()
    waiting.promise.catch(() => undefined) // those who wait for it hear of it
    return { memory, used: 0, segment: undefined, base: 0, waiting }
  }
  let filling = empty(alignedMemory(batchBytes))
  let spare = alignedMemory(batchBytes)
  let current: Segment | undefined
  let running: Promise<void> | undefined
  const jobs: (() => Promise<void>)[] = []

  /** Room in batch and segment; `later`: when the present batch is away. */
  function room(size: number): Segment | 'later' | undefined {
    if (current && current.end + size <= current.bytes) {
      if (filling.used + size > batchBytes) return 'later'
      return current
    }
    if (filling.used > 0) return 'later'
    current = next()
    if (!current) return undefined
    writeSegmentHead(filling.memory, current.use, current.turn)
    filling.base = 0
    filling.used = pageBytes
    current.end = pageBytes
    return current
  }

  function lay(segment: Segment, bytes: Uint8Array, { sha256, note }: Pick<RecordHead, 'sha256' | 'note'>): Place {
    const place: Place = { at: segment.end, sha256, bytes: bytes.length }
    const size = recordBytes(bytes.length)
    if (filling.used === 0) filling.base = segment.end
    filling.segment = segment
    writeRecordHead(filling.memory.subarray(filling.used), segment.use, { ...place, note })
    filling.memory.set(bytes, filling.used + pageBytes)
    filling.memory.fill(0, filling.used + pageBytes + bytes.length, filling.used + size)
    filling.used += size
    segment.end += size
    segment.live++
    return place
  }

  async function write(): Promise<void> {
    const batch = filling
    const { segment, memory, used, base, waiting } = batch
    filling = empty(spare)
    try {
      await segment?.write(memory.subarray(0, used), base)
      if (segment) segment.written = base + used
      waiting.resolve()
    } catch (thrown) {
      waiting.reject(thrown)
      if (segment) segment.broken = true
      // What would come behind it could not be found again; what was laid there meanwhile fails with it.
      if (segment === current) {
        current = undefined
        filling.waiting.reject(thrown)
        filling = empty(filling.memory)
      }
    }
    spare = memory
  }

  async function run(): Promise<void> {
    await Promise.resolve() // those who come in the same turn go together
    for (;;) {
      if (filling.used > 0) await write()
      const job = jobs.shift()
      if (job) await job()
      else if (filling.used === 0) return
    }
  }

  function start(): Promise<void> {
    running ??= run().finally(() => {
      running = undefined
      if (jobs.length > 0 || filling.used > 0) void start()
    })
    return running
  }

  return {
    get current() {
      return current
    },
    async add(bytes, of) {
      for (;;) {
        const segment = room(recordBytes(bytes.length))
        if (!segment) return undefined
        if (segment === 'later') {
          const { promise } = filling.waiting
          void start()
          await promise.catch(() => undefined) // theirs, not ours
          continue
        }
        const place = lay(segment, bytes, of)
        const { promise } = filling.waiting
        void start()
        try {
          await promise
        } catch (because) {
          return { segment, place, failure: { because } }
        }
        return { segment, place }
      }
    },
    alone(work) {
      const done = Promise.withResolvers<void>()
      jobs.push(() => work().then(done.resolve, done.reject))
      void start()
      return done.promise
    },
  }
}
