/** Copies of models that the workers of one engine share, for as long as it runs. */
import { fork } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import type { Logger } from 'pino'
import type { PlatformConfig } from '../../../schemas/config.ts'
import { toRaylogError } from '../../../schemas/errors.ts'
import { openIncoming } from '../../../storage/folder-incoming.ts'
import { type LoadedModel, nameOf } from '../../registry.ts'
import type { Copied } from './copier.ts'
import type { ToShare } from './make.ts'

/** For all of them, ms. Workers wait for it (START_BUDGET_MS of slot.ts). */
const longestMs = 60_000
/** Of what a process says when it ends. */
const stderrChars = 2_000

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
  const over = AbortSignal.any([closing.signal, AbortSignal.timeout(longestMs)])
  const copies = copy()

  async function plan(): Promise<ToShare[]> {
    const { newPath } = await openIncoming(spoolFolder)
    return models.map(({ manifest, weights }) => ({ manifest, weights, graph: newPath(), mapped: newPath() }))
  }

  /** Why not, where there is no copy. */
  function refuse({ ref }: LoadedModel, reason: string): undefined {
    if (!closing.signal.aborted)
      logger.warn({ model: nameOf(ref), reason }, 'every worker holds the weights of a model for itself')
  }

  async function copy() {
    try {
      const planned = await plan()
      const made = await make(planned, over)
      return await Promise.all(
        models.map(async (model, at) => {
          const [one, reason] = [planned[at], made[at]]
          if (!one || reason === undefined) return one
          await remove(one)
          return refuse(model, reason)
        }),
      )
    } catch (thrown) {
      return models.map(model => refuse(model, toRaylogError(thrown).message))
    }
  }

  return {
    copies: copies.then(all => all.map(one => one?.graph)),
    async close() {
      closing.abort(new Error('stopping'))
      await Promise.all((await copies).map(one => one && remove(one)))
    },
  }
}

/** What cannot be removed now is swept by the next. */
async function remove({ graph, mapped }: ToShare): Promise<void> {
  await Promise.allSettled([graph, mapped].map(path => rm(path, { force: true })))
}

/** @returns of each model why it has no copy; undefined where it has one. Never rejects; its process is gone where one has none. */
async function make(models: readonly ToShare[], over: AbortSignal): Promise<(string | undefined)[]> {
  if (over.aborted) return models.map(() => toRaylogError(over.reason).message)
  const child = fork(new URL('./copier.ts', import.meta.url), [], {
    serialization: 'advanced',
    // Not the flags of this process, as of a worker.
    execArgv: [],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  const made: Copied[] = []
  let said = ''
  const { promise, resolve } = Promise.withResolvers<void>()
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-stderrChars)
  })
  child.on('message', (one: Copied) => {
    made.push(one)
    if (made.length === models.length) resolve()
  })
  child.on('error', error => {
    said += error.message
    if (child.pid === undefined) resolve()
  })
  // After its last message, and what it wrote.
  child.on('close', (code, signal) => {
    said = `the process that copies models ended with ${signal ?? code}: ${over.aborted ? toRaylogError(over.reason).message : said.trim()}`
    resolve()
  })
  const stop = () => child.kill('SIGKILL')
  over.addEventListener('abort', stop, { once: true })
  // That it cannot be told shows as its end.
  if (child.connected) child.send(models, () => undefined)
  await promise
  over.removeEventListener('abort', stop)
  return models.map((_, at) => (made[at] ? made[at].refused : said))
}
