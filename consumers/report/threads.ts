/** Threads that draw: a page or a picture is tens of milliseconds of work that the runner's thread must not lose. */
import { Piscina } from 'piscina'
import { RaylogError } from '../../schemas/errors.ts'
import { slots } from './slots.ts'
import type { Drawn } from './worker.ts'

type Tasks = typeof import('./worker.ts')
export type TaskName = keyof Tasks

export interface Threads {
  /**
   * @param task an export of worker.ts, and what it takes: plain values, which are copied to the thread
   * @throws RaylogError worker-died, worker-timeout; the signal's reason when aborted
   */
  draw<T extends TaskName>(task: T, content: Parameters<Tasks[T]>[0], signal: AbortSignal): Promise<Buffer>
  close(): Promise<void>
}

export interface ThreadsOptions {
  threads: number
  /** Time for one task once a thread is free for it, ms. */
  timeoutMs: number
  /** Tasks after which the threads are replaced, so that nothing that leaks in them grows for ever. */
  recycleAfter: number
  /** Told when a thread died or hung and was replaced. */
  replaced?: (code: 'worker-died' | 'worker-timeout') => void
  /** Another worker, in tests. */
  worker?: URL
}

/**
 * Heap of one thread: a page with a preview of 4096 pixels takes a tenth of it. Without a bound for what is young, V8 lets a
 * thread that draws page after page come to hold 90 MB for a few that it uses.
 */
const resourceLimits = { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 16 }

export function openThreads(options: ThreadsOptions): Threads {
  const take = slots(options.threads)
  const retiring = new Set<Promise<void>>()
  let pool = startPool(options)
  let tasks = 0

  function current(): Piscina<unknown, Drawn> {
    tasks += 1
    if (tasks > options.recycleAfter) {
      const old = pool.close() // when its tasks under way are done
      retiring.add(old)
      void old.finally(() => retiring.delete(old))
      pool = startPool(options)
      tasks = 1
    }
    return pool
  }

  async function run(name: TaskName, content: unknown, signal: AbortSignal): Promise<Drawn> {
    const late = AbortSignal.timeout(options.timeoutMs)
    try {
      return await current().run(content, { signal: AbortSignal.any([signal, late]), name })
    } catch (thrown) {
      signal.throwIfAborted()
      // The thread that was at it has been ended either way, and another one is started for the next task.
      const code = late.aborted ? 'worker-timeout' : 'worker-died'
      options.replaced?.(code)
      const what = late.aborted ? `took longer than ${options.timeoutMs} ms` : 'ended its thread'
      throw new RaylogError(code, `drawing the report ${what}`, { cause: thrown })
    }
  }

  return {
    async draw(task, content, signal) {
      using _slot = await take(signal)
      const drawn = await run(task, content, signal)
      if ('fault' in drawn) throw new RaylogError('internal', `the report cannot be drawn: ${drawn.fault}`)
      return Buffer.from(drawn.bytes.buffer, drawn.bytes.byteOffset, drawn.bytes.byteLength)
    },
    async close() {
      await Promise.all([...retiring, pool.destroy()])
    },
  }
}

function startPool({ threads, worker }: ThreadsOptions): Piscina<unknown, Drawn> {
  const pool = new Piscina<unknown, Drawn>({
    filename: (worker ?? new URL('./worker.ts', import.meta.url)).href,
    minThreads: 0,
    maxThreads: threads,
    idleTimeout: 30_000,
    resourceLimits,
  })
  // A thread that dies with nothing to do is replaced when there is: without a listener it would end the process.
  pool.on('error', () => undefined)
  return pool
}
