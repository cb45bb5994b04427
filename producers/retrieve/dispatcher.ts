/** Looks for retrievals that nobody works on, and works on them here. */
import { toRaylogError } from '../../schemas/errors.ts'
import { isRetrievalEnded, type RetrievalDoc } from '../../schemas/retrieval.ts'
import { Watch } from '../../storage/terms.ts'
import { type RunContext, runTerm } from './run.ts'
import { claim, newestTerm, type Progress } from './term.ts'

export interface DispatcherOptions {
  run: RunContext
  /** Names this process among all that may run retrievals. */
  owner: string
  leaseMs: number
  /** Retrievals that run here at once. */
  jobs: number
  /** Whether the peer is in the settings of this process: another may know it. */
  knows(retrieval: RetrievalDoc): boolean
}

/** @returns a function that lets go of every retrieval, with what is done of it kept. Safe twice. */
export function openDispatcher({ run, owner, leaseMs, jobs, knows }: DispatcherOptions): () => Promise<void> {
  const { clock, logger, deps, settings } = run
  const { documents } = deps
  const watch = new Watch({ clock, leaseMs })
  const running = new Map<string, Promise<void>>()
  const stopping = new AbortController()

  async function look(): Promise<void> {
    const { items } = await documents.find('retrievals', { where: { phase: 'open' }, order: 'oldest', limit: 1000 })
    for (const retrieval of items) {
      if (stopping.signal.aborted) return
      if (!running.has(retrieval.id)) await consider(retrieval)
    }
  }

  async function consider(retrieval: RetrievalDoc): Promise<void> {
    const lease = { documents, clock, owner, leaseMs }
    const last = await newestTerm(documents, retrieval.id)
    if (last && isRetrievalEnded(last.state)) {
      watch.forget(retrieval.id)
      return await documents.upsert('retrievals', [{ ...retrieval, phase: 'ended' }])
    }
    if (last && !watch.isFree(retrieval.id, last)) return
    if (retrieval.wanted !== 'run') {
      // Nobody works on it: what is wanted is so already, and only has to be said.
      const said: Progress = { state: retrieval.wanted === 'cancel' ? 'cancelled' : 'paused', owner: null }
      if (last?.state !== said.state) await claim(lease, retrieval, last, said)
      return
    }
    if (running.size >= jobs || !knows(retrieval)) return
    const term = await claim(lease, retrieval, last)
    if (!term) return
    logger.info({ retrieval: retrieval.id, peer: retrieval.peer, epoch: term.doc.epoch }, 'works on a retrieval')
    const done = runTerm(run, retrieval, term, stopping.signal)
      .catch(error => logger.error({ retrieval: retrieval.id, err: error }, 'a retrieval ended by a fault'))
      .finally(() => running.delete(retrieval.id))
    running.set(retrieval.id, done)
  }

  async function keepLooking(): Promise<void> {
    const { signal } = stopping
    let away = false
    while (!signal.aborted) {
      try {
        await look()
        away = false
      } catch (thrown) {
        if (!away && !signal.aborted) logger.warn({ code: toRaylogError(thrown).code }, 'cannot look for retrievals')
        away = true
      }
      await clock.sleep(settings.beatMs, signal).catch(() => undefined)
    }
  }
  const looking = keepLooking()

  return async () => {
    stopping.abort(new Error('stopping'))
    await looking
    await Promise.all(running.values())
  }
}
