/** Copies of models that the workers of one engine share, for as long as it runs. */
import { fork } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import type { Logger } from 'pino'
import type { PlatformConfig } from '../../../schemas/config.ts'
import { toRaylogError } from '../../../schemas/errors.ts'
import { openIncoming } from '../../../storage/folder-incoming.ts'
import { type LoadedModel, nameOf } from '../../registry.ts'
import type { ToShare } from './make.ts'
import type { Made } from './process.ts'

/** For all of them, ms. */
const longestMs = 60_000

export interface Shared {
  /** For each model the path of its copy; undefined where it has none, and each worker loads what was given. Never rejects. */
  readonly copies: Promise<readonly (string | undefined)[]>
  /** Removes them, when no worker is left. What a crash leaves is swept by the next. */
  close(): Promise<void>
}

/** Whether several workers would each hold the weights. A GPU has them in memory of its own. */
export const sharing = ({ workers, providers }: PlatformConfig['models']): boolean =>
  (workers ?? availableParallelism()) > 1 && providers[0] === 'cpu'

/** @param options.spoolFolder made where it is not there */
export function shareModels(
  models: readonly LoadedModel[],
  { spoolFolder, logger }: { spoolFolder: string; logger: Logger },
): Shared {
  const closing = new AbortController()
  const planned: ToShare[] = []

  async function share(): Promise<Made> {
    const { newPath } = await openIncoming(spoolFolder)
    for (const { manifest, weights } of models) planned.push({ manifest, weights, graph: newPath(), mapped: newPath() })
    return make(planned, AbortSignal.any([closing.signal, AbortSignal.timeout(longestMs)]))
  }

  async function copy() {
    const made = await share().catch((thrown: unknown) => models.map(() => toRaylogError(thrown).message))
    return models.map(({ ref }, at) => {
      const reason = made[at]
      if (reason === undefined) return planned[at]?.graph
      if (!closing.signal.aborted)
        logger.warn({ model: nameOf(ref), reason }, 'every worker holds the weights of a model for itself')
      return undefined
    })
  }

  const copies = copy()
  return {
    copies,
    async close() {
      closing.abort()
      await copies
      const paths = planned.flatMap(({ graph, mapped }) => [graph, mapped])
      await Promise.allSettled(paths.map(path => rm(path, { force: true })))
    },
  }
}

/** @throws where the process ends without an answer, or gives none in time */
async function make(models: readonly ToShare[], signal: AbortSignal): Promise<Made> {
  const child = fork(new URL('./process.ts', import.meta.url), [], {
    serialization: 'advanced',
    // As of a worker.
    execArgv: [],
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  })
  const { promise, resolve, reject } = Promise.withResolvers<Made>()
  child.once('message', (made: Made) => resolve(made))
  child.once('error', reject)
  child.once('exit', (code, by) => reject(new Error(`the process that copies models ended with ${by ?? code}`)))
  child.send(models)
  const stop = () => {
    child.kill('SIGKILL')
    reject(signal.reason)
  }
  signal.addEventListener('abort', stop, { once: true })
  return promise.finally(() => signal.removeEventListener('abort', stop))
}
