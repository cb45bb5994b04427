/**
 * Memory for images that come in, used again and again, and digested while it fills by a thread of its own: SHA-256 of half a
 * megabyte takes a third of a millisecond, which is a seventh of what the main thread needs for an image (bench/notes-receive.md).
 * The first image starts it. Where it has died, the main thread digests, and the next image starts another.
 */
import { hash } from 'node:crypto'
import { Worker } from 'node:worker_threads'
import type { Logger } from 'pino'
import type { Ports } from '../kafka/ports.ts'

export interface Tray {
  /** Room for an image that is held whole. */
  readonly memory: Buffer
  /** So many of its first bytes are there, and stay as they are. */
  filled(bytes: number): void
  /** Of its first `bytes`, hex; undefined where the tray was dropped meanwhile. Asked once for each image. */
  sha256(bytes: number): Promise<string | undefined>
  /** The image is done with, and nobody reads from its memory any more. */
  give(): void
  /** The image is done with, but a store that gave up may still be reading from its memory. */
  drop(): void
}

export interface Trays {
  take(): Tray
  close(): Promise<void>
}

/**
 * What main thread and digesting thread say to each other in the memory that they share, 32 bit numbers; behind them stands
 * the image. `use` is written after `filled` is 0 and `end` is noEnd, so that who sees the new use sees nothing of the one before.
 */
export const said = { use: 0, filled: 1, end: 2 } as const
export const noEnd = -1
const controlBytes = 64

export const controlOf = (shared: SharedArrayBuffer): Int32Array => new Int32Array(shared, 0, 3)
export const memoryOf = (shared: SharedArrayBuffer): Buffer => Buffer.from(shared, controlBytes)

/** To the thread: a tray that it shares from now on, or, without memory, no more. */
export interface Shared {
  id: number
  shared?: SharedArrayBuffer
}

/** From the thread. */
export interface Digested {
  id: number
  use: number
  sha256: string
}

/** So much is worth waking the thread, bytes. */
const worthwhile = 128 * 1024

/** It has few objects of its own; without limits V8 would let it keep tens of megabytes of garbage. */
const resourceLimits = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2 }

interface Mine extends Tray {
  begin(): void
}

export interface TraysOptions {
  logger: Logger
  metrics: Pick<Ports['metrics'], 'workerRestarts'>
}

/** @param trayBytes room in each */
export function createTrays(trayBytes: number, { logger, metrics }: TraysOptions): Trays {
  /** Grows with whatever is new for the thread, which sleeps on it. */
  const news = new Int32Array(new SharedArrayBuffer(4))
  const free: Mine[] = []
  const waiting = new Map<number, { use: number; settle(sha256: string | undefined): void }>()
  let worker: Worker | undefined
  let last = 0
  let closed = false

  function start(): Worker {
    const fresh = new Worker(new URL('./trays-worker.ts', import.meta.url), { workerData: news, resourceLimits })
    fresh.unref()
    fresh.on('message', ({ id, use, sha256 }: Digested) => {
      if (waiting.get(id)?.use === use) waiting.get(id)?.settle(sha256)
    })
    let reason: string | undefined
    fresh.on('error', thrown => {
      reason = thrown instanceof Error ? thrown.message : String(thrown)
    })
    fresh.on('exit', () => {
      if (worker === fresh) worker = undefined
      if (!closed) {
        metrics.workerRestarts.inc({ pool: 'digest', code: 'worker-died' })
        logger.warn({ reason }, 'the thread that digests images died; the next image starts another')
      }
      for (const { settle } of waiting.values()) settle(undefined)
    })
    return fresh
  }

  function wake(): void {
    Atomics.add(news, 0, 1)
    Atomics.notify(news, 0)
  }

  function makeTray(): Mine {
    const id = ++last
    const shared = new SharedArrayBuffer(controlBytes + trayBytes)
    const control = controlOf(shared)
    const memory = memoryOf(shared)
    let knownTo: Worker | undefined
    let use = 0
    let told = 0
    let dropped = false

    function share(): void {
      if (worker === knownTo || !worker) return
      knownTo = worker
      const message: Shared = { id, shared }
      worker.postMessage(message)
    }

    const tray = {
      memory,
      begin() {
        share()
        told = 0
        Atomics.store(control, said.filled, 0)
        Atomics.store(control, said.end, noEnd)
        Atomics.store(control, said.use, ++use)
      },
      filled(bytes: number) {
        Atomics.store(control, said.filled, bytes)
        if (bytes - told < worthwhile) return
        told = bytes
        wake()
      },
      async sha256(bytes: number) {
        const digested = new Promise<string | undefined>(settle => {
          if (knownTo && knownTo === worker) waiting.set(id, { use, settle })
          else settle(undefined)
        })
        Atomics.store(control, said.filled, bytes)
        Atomics.store(control, said.end, bytes)
        wake()
        const sha256 = await digested
        waiting.delete(id)
        if (dropped) return undefined
        return sha256 ?? hash('sha256', memory.subarray(0, bytes))
      },
      give: () => void free.push(tray),
      drop() {
        dropped = true
        // The thread forgets the tray before it has digested it: nobody else would answer, and the entry holds the memory.
        waiting.get(id)?.settle(undefined)
        waiting.delete(id)
        const message: Shared = { id }
        if (knownTo === worker) worker?.postMessage(message)
        wake()
      },
    }
    return tray
  }

  return {
    take() {
      if (!closed) worker ??= start()
      const tray = free.pop() ?? makeTray()
      tray.begin()
      return tray
    },
    async close() {
      closed = true
      await worker?.terminate()
    },
  }
}
