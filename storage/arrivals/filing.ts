/** Makes files of records in segments, in a thread of its own (filing-worker.ts). */
import { Worker } from 'node:worker_threads'
import { type ErrorCode, RaylogError } from '../../schemas/errors.ts'

/** Bytes that stand in a segment, followed by zeros to the end of their page. */
export interface Standing {
  sha256: string
  segment: string
  /** Where they begin, a multiple of a page. */
  at: number
  bytes: number
}

/** And where they go. */
export interface ToFile extends Standing {
  /** Written first, and renamed when it is synced. On the file system of `path`. */
  incoming: string
  path: string
}

export type Outcome = { code: ErrorCode; message: string } | null

export interface FilingRequest {
  id: number
  records: readonly ToFile[]
}

export interface FilingReply {
  id: number
  outcomes: Outcome[]
}

export interface Filing {
  /** Of each, in their order: undefined where its file is durable, or why it has none. */
  make(records: readonly ToFile[]): Promise<(RaylogError | undefined)[]>
  close(): Promise<void>
}

/** It has few objects of its own; without limits V8 would let it keep tens of megabytes of garbage. */
const resourceLimits = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2 }

/** The thread is started by the first that is asked of it, and again after it has died. */
export function createFiling(): Filing {
  const waiting = new Map<number, (outcomes: Outcome[]) => void>()
  let worker: Worker | undefined
  let last = 0

  function start(): Worker {
    const fresh = new Worker(new URL('./filing-worker.ts', import.meta.url), { resourceLimits })
    let reason = 'the filing thread ended'
    fresh.unref()
    fresh.on('message', ({ id, outcomes }: FilingReply) => {
      waiting.get(id)?.(outcomes)
      waiting.delete(id)
      if (waiting.size === 0) fresh.unref()
    })
    fresh.on('error', error => {
      reason = `the filing thread failed: ${error instanceof Error ? error.message : String(error)}`
    })
    fresh.on('exit', () => {
      if (worker === fresh) worker = undefined
      const outcome: Outcome = { code: 'store-unavailable', message: reason }
      for (const [id, settle] of waiting) {
        waiting.delete(id)
        settle([outcome])
      }
    })
    return fresh
  }

  return {
    async make(records) {
      worker ??= start()
      worker.ref()
      const id = ++last
      const answered = new Promise<Outcome[]>(resolve => waiting.set(id, resolve))
      const request: FilingRequest = { id, records }
      worker.postMessage(request)
      const outcomes = await answered
      // One for all: the thread died.
      const of = (index: number) => (outcomes.length === records.length ? outcomes[index] : outcomes[0])
      return records.map((_, index) => {
        const outcome = of(index)
        return outcome ? new RaylogError(outcome.code, outcome.message) : undefined
      })
    },
    async close() {
      await worker?.terminate()
    },
  }
}
