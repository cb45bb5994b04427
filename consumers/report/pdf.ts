/** PDF reports, drawn in worker threads: a page is tens of milliseconds of work that the runner's thread must not lose. */
import { Piscina } from 'piscina'
import { RaylogError } from '../../schemas/errors.ts'
import type { ReportContent, ReportFormat } from './format.ts'
import type { Rendered } from './pdf-worker.ts'
import { slots } from './slots.ts'

export interface PdfOptions {
  threads: number
  /** Time for one page once a thread is free for it, ms. */
  timeoutMs: number
  /** Pages after which the threads are replaced, so that nothing that leaks in them grows for ever. */
  recycleAfter: number
  /** Told when a thread died or hung and was replaced. */
  replaced?: (code: 'worker-died' | 'worker-timeout') => void
  /** Another worker, in tests. */
  worker?: URL
}

/** Heap of one thread, MiB: a page with a preview of 4096 pixels takes a tenth of it. */
const threadHeapMb = 256

export function openPdf(options: PdfOptions): ReportFormat {
  const take = slots(options.threads)
  const retiring = new Set<Promise<void>>()
  let pool = startPool(options)
  let pages = 0

  function current(): Piscina<ReportContent, Rendered> {
    pages += 1
    if (pages > options.recycleAfter) {
      const old = pool.close() // when its pages under way are done
      retiring.add(old)
      void old.finally(() => retiring.delete(old))
      pool = startPool(options)
      pages = 1
    }
    return pool
  }

  async function draw(content: ReportContent, signal: AbortSignal): Promise<Rendered> {
    const late = AbortSignal.timeout(options.timeoutMs)
    try {
      return await current().run(content, { signal: AbortSignal.any([signal, late]), name: 'render' })
    } catch (thrown) {
      signal.throwIfAborted()
      // The thread that was at it has been ended either way, and another one is started for the next page.
      const code = late.aborted ? 'worker-timeout' : 'worker-died'
      options.replaced?.(code)
      const what = late.aborted ? `took longer than ${options.timeoutMs} ms` : 'ended its thread'
      throw new RaylogError(code, `drawing the report ${what}`, { cause: thrown })
    }
  }

  return {
    name: 'pdf',
    contentType: 'application/pdf',
    async render(content, signal) {
      using _slot = await take(signal)
      const rendered = await draw(content, signal)
      if ('fault' in rendered) throw new RaylogError('internal', `the report cannot be drawn: ${rendered.fault}`)
      return Buffer.from(rendered.bytes.buffer, rendered.bytes.byteOffset, rendered.bytes.byteLength)
    },
    async close() {
      await Promise.all([...retiring, pool.destroy()])
    },
  }
}

function startPool({ threads, worker }: PdfOptions): Piscina<ReportContent, Rendered> {
  const pool = new Piscina<ReportContent, Rendered>({
    filename: (worker ?? new URL('./pdf-worker.ts', import.meta.url)).href,
    minThreads: 0,
    maxThreads: threads,
    idleTimeout: 30_000,
    resourceLimits: { maxOldGenerationSizeMb: threadHeapMb },
  })
  // A thread that dies with nothing to do is replaced when there is: without a listener it would end the process.
  pool.on('error', () => undefined)
  return pool
}
