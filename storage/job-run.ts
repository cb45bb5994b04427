/**
 * One term of a job (jobs.ts, terms.ts), from its begin to its last word: it says that it lives and how far it is, and hears
 * meanwhile whether the job is still wanted.
 */
import type { Logger } from 'pino'
import type { Clock } from '../monitoring/clock.ts'
import { type RaylogError, toRaylogError } from '../schemas/errors.ts'
import type { JobDoc } from './jobs.ts'

type Ending = 'pause' | 'cancel' | 'stopping' | 'lost'

/** Why a term ends before its job does. */
export class Ended extends Error {
  readonly ending: Ending
  constructor(ending: Ending) {
    super(ending)
    this.ending = ending
  }
}

const stateAfter = {
  pause: 'paused',
  cancel: 'cancelled',
  // As it was, and nobody's: whoever comes next goes on at once.
  stopping: 'running',
} as const

export interface LastWord {
  state: 'paused' | 'cancelled' | 'running' | 'done' | 'failed'
  owner: null
  error: { code: string; message: string } | null
}

export interface JobRun {
  clock: Clock
  logger: Logger
  beatMs: number
  /** What the job is called, in log lines, and its id. */
  name: string
  id: string
  term: { readonly held: boolean }
  /** Undefined: the job is gone. */
  wanted(): Promise<JobDoc['wanted'] | undefined>
  /** Writes how far it is, and what is said last. @returns false when the term is not ours any more (`Term.save`) */
  save(last?: LastWord): Promise<boolean>
  /** After each beat, one that was not kept too. What it throws ends no term. */
  looked?(): Promise<void>
  /** It goes no further: for the log, which of it may be told there. */
  failed(error: RaylogError): void
  /** Nothing is under way any more when it settles. @throws the reason of `stop`, or what makes going on useless */
  work(stop: AbortController): Promise<void>
}

const firstBackoffMs = 100

/** Resolves when the job is at its end, or the term is: paused, cancelled, let go of at `stopping`, or lost. */
export async function runJob(run: JobRun, stopping: AbortSignal): Promise<void> {
  const { clock, logger, beatMs, name, id, term } = run
  const stop = new AbortController()
  const onStopping = () => stop.abort(new Ended('stopping'))
  if (stopping.aborted) onStopping()
  stopping.addEventListener('abort', onStopping, { once: true })

  async function beat(): Promise<void> {
    while (!stop.signal.aborted) {
      await clock.sleep(beatMs, stop.signal)
      try {
        const wanted = (await run.wanted()) ?? 'cancel'
        if (!(await run.save())) stop.abort(new Ended('lost'))
        else if (wanted !== 'run') stop.abort(new Ended(wanted))
      } catch (thrown) {
        logger.warn({ [name]: id, code: toRaylogError(thrown).code }, `the progress of a ${name} was not kept`)
        if (!term.held) stop.abort(new Ended('lost'))
      }
      try {
        await run.looked?.()
      } catch (thrown) {
        logger.warn({ [name]: id, code: toRaylogError(thrown).code }, `what a ${name} looks at could not be read`)
      }
    }
  }
  const beating = beat().catch(error => stop.abort(error))

  let ending: unknown
  try {
    await run.work(stop)
  } catch (thrown) {
    ending = stop.signal.aborted ? stop.signal.reason : thrown
  }
  stop.abort(new Ended('stopping'))
  await beating
  stopping.removeEventListener('abort', onStopping)
  if (ending instanceof Ended && ending.ending === 'lost') return
  await letGo(run, lastWord(run, ending), stopping)
}

function lastWord({ failed }: JobRun, ending: unknown): LastWord {
  if (ending === undefined) return { state: 'done', owner: null, error: null }
  if (ending instanceof Ended && ending.ending !== 'lost')
    return { state: stateAfter[ending.ending], owner: null, error: null }
  const error = toRaylogError(ending)
  failed(error)
  return { state: 'failed', owner: null, error: { code: error.code, message: error.message } }
}

/** Where the store is away for longer than the lease, the next holder goes on from what was kept before. */
async function letGo({ clock, logger, name, id, term, save }: JobRun, last: LastWord, stopping: AbortSignal) {
  for (let attempt = 1; ; attempt++) {
    try {
      await save(last)
      return
    } catch (thrown) {
      logger.warn({ [name]: id, code: toRaylogError(thrown).code }, 'the end of a term was not kept')
      if (!term.held || stopping.aborted) return
      await clock.sleep(firstBackoffMs * attempt, stopping).catch(() => undefined)
    }
  }
}

export interface Patience {
  clock: Clock
  random: () => number
  /** Of what may pass. */
  retries: number
  firstMs: number
  longestMs: number
}

export type Patiently = <T>(attemptIt: () => Promise<T>) => Promise<T>

/** Waits out what is away, and tries a few times what may pass; the error otherwise. */
export function patience({ clock, random, retries, firstMs, longestMs }: Patience, signal: AbortSignal): Patiently {
  return async attemptIt => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await attemptIt()
      } catch (thrown) {
        signal.throwIfAborted()
        if (thrown instanceof Ended) throw thrown
        const { verdict } = toRaylogError(thrown).entry
        if (verdict !== 'wait' && !(verdict === 'retry' && attempt <= retries)) throw thrown
        const full = Math.min(longestMs, firstMs * 2 ** Math.min(attempt - 1, 20))
        await clock.sleep(full / 2 + (random() * full) / 2, signal)
      }
    }
  }
}
