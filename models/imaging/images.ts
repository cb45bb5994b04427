/** Images: headers are read here, at once; previews are made in threads of their own, so that a bad image harms nobody. */
import { LRUCache } from 'lru-cache'
import type { Logger } from 'pino'
import { Piscina } from 'piscina'
import type { Metrics } from '../../monitoring/metrics.ts'
import { RaylogError, toRaylogError } from '../../schemas/errors.ts'
import type { ObjectStore } from '../../storage/objects.ts'
import { readAttributes } from './attributes.ts'
import { type DeidentifierOptions, openDeidentifier } from './deidentify/pool.ts'
import { describe } from './header.ts'
import { createDicomReader } from './json/reader.ts'
import type { Images, PreviewOptions } from './port.ts'
import type { PreviewResult, PreviewTask } from './preview-worker.ts'
import { createSlots } from './slots.ts'
import type { Recoding } from './transcode/data-set.ts'
import type { FrameTask } from './transcode/frames.ts'

export interface ImagesOptions {
  objects: Pick<ObjectStore, 'get' | 'local' | 'range' | 'stream'>
  metrics: Pick<Metrics, 'workerRestarts'>
  logger?: Logger
  /** Previews made at once. */
  threads?: number
  /** PNG bytes that are kept. */
  cacheBytes?: number
  /** Previews that may wait for a thread. */
  maxWaiting?: number
  /** Time for one preview before its thread is replaced, ms. */
  budgetMs?: number
  /** The module that the threads run. */
  worker?: URL
  /** Without it nothing is de-identified. */
  deidentify?: Pick<DeidentifierOptions, 'settings' | 'key' | 'site'>
}

/** What the threads of the pool can do; a preview where nothing is said. */
type WorkerName = 'makeFrame' | 'recodeDataSet' | 'decodeEncodedFrame'
type Task = PreviewTask | Recoding | FrameTask

/** The caller closes it. */
export function openImages(options: ImagesOptions): Images {
  const { objects, metrics, logger, threads = 1, cacheBytes = 16 * 1024 * 1024 } = options
  const { maxWaiting = 256, budgetMs = 30_000, worker = new URL('./preview-worker.ts', import.meta.url) } = options
  const pool = new Piscina<Task, PreviewResult>({
    filename: worker.href,
    name: 'makePreview',
    minThreads: 0,
    maxThreads: threads,
    idleTimeout: 60_000,
    resourceLimits: { maxOldGenerationSizeMb: 2048 },
  })
  const deidentifier =
    options.deidentify && openDeidentifier({ ...options.deidentify, metrics, ...(logger && { logger }) })
  const slots = createSlots(threads, maxWaiting)
  const cache = new LRUCache<string, Buffer>({
    maxSize: Math.max(1, cacheBytes),
    sizeCalculation: png => png.length || 1,
  })
  const making = new Map<string, Promise<Buffer>>()
  let closed = false

  async function make(key: string, options: PreviewOptions, name?: 'makeFrame'): Promise<Buffer> {
    const { bytes } = await inSlot(
      async () => ({ source: objects.local(key) ?? (await objects.get(key)), options }),
      name,
    )
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  /** @param task made when there is a thread for it */
  async function inSlot(task: () => Task | Promise<Task>, name?: WorkerName) {
    const release = await slots.take()
    try {
      const result = await inThread(await task(), name)
      if ('bytes' in result) return result
      throw new RaylogError(result.code, result.message)
    } finally {
      release()
    }
  }

  /** The time counts from the start: the slot says that a thread is free. */
  async function inThread(task: Task, name?: WorkerName): Promise<PreviewResult> {
    if (closed) throw new RaylogError('stopping', 'previews are closed')
    const late = AbortSignal.timeout(budgetMs)
    try {
      return await pool.run(task, { signal: late, ...(name !== undefined && { name }) })
    } catch (thrown) {
      if (closed) throw new RaylogError('stopping', 'previews are closed', { cause: thrown })
      const code = late.aborted ? 'worker-timeout' : 'worker-died'
      metrics.workerRestarts.inc({ pool: 'preview', code })
      const what = late.aborted ? `the preview took longer than ${budgetMs} ms` : toRaylogError(thrown).message
      logger?.warn({ code }, 'a preview thread was replaced')
      throw new RaylogError(code, what, { cause: thrown })
    }
  }

  return {
    dicom: createDicomReader(objects, ({ key }, frame) => make(key, { frame }, 'makeFrame'), {
      recode: async task => (await inSlot(() => task, 'recodeDataSet')).bytes,
      async decode(task) {
        const { bytes: samples, photometric = task.module.photometric } = await inSlot(() => task, 'decodeEncodedFrame')
        return { samples, photometric }
      },
    }),
    describe,
    attributes: readAttributes,
    async preview(object, options = {}) {
      const id = `${object.sha256} ${options.frame ?? 1} ${options.size ?? ''} ${options.box?.width ?? ''} ${options.box?.height ?? ''} ${options.window?.center ?? ''} ${options.window?.width ?? ''} ${options.window?.shape ?? ''} ${options.format ?? ''} ${options.quality ?? ''}`
      const known = cache.get(id)
      if (known !== undefined) return known
      const running = making.get(id)
      if (running !== undefined) return running
      const promise = make(object.key, options)
      making.set(id, promise)
      try {
        const png = await promise
        if (png.length <= cacheBytes) cache.set(id, png)
        return png
      } finally {
        making.delete(id)
      }
    },
    maxDeidentified: deidentifier?.maxDeidentified ?? 0,
    deidentifies: source => deidentifier?.deidentifies(source),
    async deidentify(bytes, site) {
      if (!deidentifier) throw new RaylogError('internal', 'this process was opened without de-identification')
      return deidentifier.deidentify(bytes, site)
    },
    async close() {
      closed = true
      slots.close()
      await deidentifier?.close()
      await pool.destroy()
      await Promise.allSettled(making.values())
    },
  }
}
