/** Looks for replays that nobody runs, and runs them here. */
import { toRaylogError } from '../../schemas/errors.ts'
import { isEnded, type ReplayDoc } from '../../schemas/replay.ts'
import { Watch } from '../../storage/terms.ts'
import { type RunContext, runTerm } from './run.ts'
import { claim, newestTerm, type Progress, type TermOptions } from './term.ts'

export interface DispatcherOptions {
  run: RunContext
  /** Names this process among all that may run replays. */
  owner: string
  leaseMs: number
  /** Replays that run here at once. */
  atOnce: number
}

export interface Dispatcher {
  /** Lets go of every replay, with what is done of it kept. Safe twice. */
  close(): Promise<void>
}

export function openDispatcher({ run, owner, leaseMs, atOnce }: DispatcherOptions): Dispatcher {
  const { clock, logger, deps, settings } = run
  const { documents, models } = deps
  const options: TermOptions = { documents, clock, owner, leaseMs }
  const watch = new Watch({ clock, leaseMs })
  const running = new Map<string, Promise<void>>()
  const stopping = new AbortController()

  async function look(): Promise<void> {
    const { items } = await documents.find('replays', { where: { phase: 'open' }, order: 'oldest', limit: 1000 })
    for (const replay of items) {
      if (stopping.signal.aborted) return
      if (!running.has(replay.id)) await consider(replay)
    }
  }

  async function consider(replay: ReplayDoc): Promise<void> {
    const last = await newestTerm(documents, replay.id)
    if (last && isEnded(last.state)) {
      watch.forget(replay.id)
      return await documents.upsert('replays', [{ ...replay, phase: 'ended' }])
    }
    if (last && !watch.isFree(replay.id, last)) return
    if (replay.wanted !== 'run') {
      // Nobody runs it: what is wanted is so already, and only has to be said.
      const state = replay.wanted === 'cancel' ? 'cancelled' : 'paused'
      const said: Progress = { state, owner: null }
      if (last?.state !== state) await claim(options, replay, last, said)
      return
    }
    if (running.size >= atOnce || !isLoaded(replay)) return
    const term = await claim(options, replay, last)
    if (!term) return
    logger.info({ replay: replay.id, epoch: term.doc.epoch }, 'runs a replay')
    const done = runTerm(run, replay, term, stopping.signal)
      .catch(error => logger.error({ replay: replay.id, err: error }, 'a replay ended by a fault'))
      .finally(() => running.delete(replay.id))
    running.set(replay.id, done)
  }

  /** Another process may have the model. */
  const isLoaded = ({ model: { name, version } }: ReplayDoc): boolean =>
    models.list().some(({ ref, state }) => ref.name === name && ref.version === version && state === 'ready')

  async function keepLooking(): Promise<void> {
    const { signal } = stopping
    let away = false
    while (!signal.aborted) {
      try {
        await look()
        away = false
      } catch (thrown) {
        if (!away && !signal.aborted) logger.warn({ code: toRaylogError(thrown).code }, 'cannot look for replays')
        away = true
      }
      await clock.sleep(settings.beatMs, signal).catch(() => undefined)
    }
  }
  const looking = keepLooking()

  return {
    async close() {
      stopping.abort(new Error('stopping'))
      await looking
      await Promise.all(running.values())
    },
  }
}
