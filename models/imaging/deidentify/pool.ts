/** De-identification as the settings say, in threads: what a damaged object does to a decoder harms nobody else. */
import type { Logger } from 'pino'
import { Piscina } from 'piscina'
import type { Metrics } from '../../../monitoring/metrics.ts'
import type { DeidentifySettings } from '../../../schemas/deidentify.ts'
import { RaylogError, toRaylogError } from '../../../schemas/errors.ts'
import type { Images } from '../port.ts'
import type { DeidentifyResult, DeidentifyTask } from './worker.ts'

export interface DeidentifierOptions {
  settings: DeidentifySettings
  key: Uint8Array
  site: string
  metrics: Pick<Metrics, 'workerRestarts'>
  logger?: Logger
  /** Objects at once. */
  threads?: number
}

export type Deidentifier = Pick<Images, 'maxDeidentified' | 'deidentifies' | 'deidentify' | 'close'>

/** The caller closes it. */
export function openDeidentifier(options: DeidentifierOptions): Deidentifier {
  const { key, site: ours, metrics, logger, threads = 2 } = options
  const { sources, budgetMs, ...rules } = options.settings
  const { maxBytes } = rules
  const pool = new Piscina<DeidentifyTask, DeidentifyResult>({
    filename: new URL('./worker.ts', import.meta.url).href,
    name: 'deidentifyObject',
    minThreads: 0,
    maxThreads: threads,
    idleTimeout: 60_000,
    concurrentTasksPerWorker: 1,
  })
  let closed = false

  async function inThread(bytes: Uint8Array, site: string): Promise<DeidentifyResult> {
    // Those that wait for a thread have not begun: the budget is for the work, and the pool is asked in turn.
    const late = AbortSignal.timeout(budgetMs * (1 + Math.ceil(pool.queueSize / threads)))
    const own = bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes)
    try {
      return await pool.run(
        { bytes: own, rules, key, site },
        { signal: late, transferList: [own.buffer as ArrayBuffer] },
      )
    } catch (thrown) {
      if (closed) throw new RaylogError('stopping', 'de-identification is closed', { cause: thrown })
      const code = late.aborted ? 'worker-timeout' : 'worker-died'
      metrics.workerRestarts.inc({ pool: 'deidentify', code })
      const why = late.aborted ? `de-identification took longer than ${budgetMs} ms` : toRaylogError(thrown).message
      throw new RaylogError(code, why, { cause: thrown })
    }
  }

  return {
    maxDeidentified: maxBytes,
    deidentifies: ({ kind, peer }) =>
      sources.some(one => one === '*' || one === kind || one === `${kind}:${peer}`) ? { maxBytes } : undefined,
    async deidentify(bytes, site = ours) {
      if (closed) throw new RaylogError('stopping', 'de-identification is closed')
      const result = await inThread(bytes, site)
      if ('code' in result) throw new RaylogError(result.code, result.message)
      const { changes, pixels } = result.report
      const elements = changes.reduce((sum, { count }) => sum + count, 0)
      logger?.info({ elements, attributes: changes.length, pixels }, 'an image was de-identified')
      return result
    },
    async close() {
      closed = true
      await pool.destroy()
    },
  }
}
