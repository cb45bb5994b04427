/**
 * Looks for jobs that nobody does, and does them here: a job is a document that says what is wanted, its terms (terms.ts) are
 * documents that say who does it and how far it is. Any process may look; a job is done by one at a time.
 */
import type { Logger } from 'pino'
import type { Clock } from '../monitoring/clock.ts'
import { toRaylogError } from '../schemas/errors.ts'
import { type Term, type TermDoc, Watch } from './terms.ts'

export interface JobDoc {
  id: string
  wanted: 'run' | 'pause' | 'cancel'
}

/** One kind of job. */
export interface Jobs<J extends JobDoc, T extends TermDoc & { state: string }> {
  /** What one is called, in log lines. */
  readonly name: string
  /** Those that are not known to be at their end. */
  open(): Promise<J[]>
  newest(job: J): Promise<T | undefined>
  /** Begins the term after `last`. @returns undefined when someone else was first */
  claim(job: J, last: T | undefined, as?: { state: 'cancelled' | 'paused'; owner: null }): Promise<Term<T> | undefined>
  isEnded(last: T): boolean
  /** Keeps that it is at its end. */
  end(job: J): Promise<void>
  /** Whether this process has what it needs; another may. */
  mayRun(job: J): boolean
  /** Resolves when it is at its end, or the term is. */
  run(job: J, term: Term<T>, stopping: AbortSignal): Promise<void>
}

export interface JobsOptions {
  clock: Clock
  logger: Logger
  leaseMs: number
  /** Between two looks, ms. */
  lookMs: number
  /** Jobs that are done here at once. */
  atOnce: number
}

/** @returns a function that lets go of every job, with what is done of it kept. Safe twice. */
export function openJobs<J extends JobDoc, T extends TermDoc & { state: string }>(
  { clock, logger, leaseMs, lookMs, atOnce }: JobsOptions,
  jobs: Jobs<J, T>,
): () => Promise<void> {
  const { name } = jobs
  const watch = new Watch({ clock, leaseMs })
  const running = new Map<string, Promise<void>>()
  const stopping = new AbortController()

  async function look(): Promise<void> {
    for (const job of await jobs.open()) {
      if (stopping.signal.aborted) return
      if (!running.has(job.id)) await consider(job)
    }
  }

  async function consider(job: J): Promise<void> {
    const last = await jobs.newest(job)
    if (last && jobs.isEnded(last)) {
      watch.forget(job.id)
      return await jobs.end(job)
    }
    if (last && !watch.isFree(job.id, last)) return
    if (job.wanted !== 'run') {
      // Nobody does it: what is wanted is so already, and only has to be said.
      const state = job.wanted === 'cancel' ? 'cancelled' : 'paused'
      if (last?.state !== state) await jobs.claim(job, last, { state, owner: null })
      return
    }
    if (running.size >= atOnce || !jobs.mayRun(job)) return
    const term = await jobs.claim(job, last)
    if (!term) return
    logger.info({ [name]: job.id, epoch: term.doc.epoch }, `works on a ${name}`)
    const done = jobs
      .run(job, term, stopping.signal)
      .catch(error => logger.error({ [name]: job.id, err: error }, `a ${name} ended by a fault`))
      .finally(() => running.delete(job.id))
    running.set(job.id, done)
  }

  async function keepLooking(): Promise<void> {
    const { signal } = stopping
    let away = false
    while (!signal.aborted) {
      try {
        await look()
        away = false
      } catch (thrown) {
        if (!away && !signal.aborted) logger.warn({ code: toRaylogError(thrown).code }, `cannot look for a ${name}`)
        away = true
      }
      await clock.sleep(lookMs, signal).catch(() => undefined)
    }
  }
  const looking = keepLooking()

  return async () => {
    stopping.abort(new Error('stopping'))
    await looking
    await Promise.all(running.values())
  }
}
