/** Looks for replays that nobody runs, and runs them here. */
import { isEnded, type ReplayDoc } from '../../schemas/replay.ts'
import { openJobs } from '../../storage/jobs.ts'
import { type RunContext, runTerm } from './run.ts'
import { claim, newestTerm } from './term.ts'

export interface DispatcherOptions {
  run: RunContext
  /** Names this process among all that may run replays. */
  owner: string
  leaseMs: number
  /** Replays that run here at once. */
  atOnce: number
}

/** @returns a function that lets go of every replay, with what is done of it kept. Safe twice. */
export function openDispatcher({ run, owner, leaseMs, atOnce }: DispatcherOptions): () => Promise<void> {
  const { clock, logger, deps, settings } = run
  const { documents, models } = deps
  return openJobs(
    { clock, logger, leaseMs, lookMs: settings.beatMs, atOnce },
    {
      name: 'replay',
      async open() {
        return (await documents.find('replays', { where: { phase: 'open' }, order: 'oldest', limit: 1000 })).items
      },
      newest: ({ id }) => newestTerm(documents, id),
      claim: (replay, last, as) => claim({ documents, clock, owner, leaseMs }, replay, last, as),
      isEnded: ({ state }) => isEnded(state),
      end: replay => documents.upsert('replays', [{ ...replay, phase: 'ended' }]),
      // Another process may have the model.
      mayRun: ({ model: { name, version } }: ReplayDoc) =>
        models.list().some(({ ref, state }) => ref.name === name && ref.version === version && state === 'ready'),
      run: (replay, term, stopping) => runTerm(run, replay, term, stopping),
    },
  )
}
