/** Looks for retrievals that nobody works on, and works on them here. */
import { isRetrievalEnded, type RetrievalDoc } from '../../schemas/retrieval.ts'
import { openJobs } from '../../storage/jobs.ts'
import { type RunContext, runTerm } from './run.ts'
import { claim, newestTerm } from './term.ts'

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
  return openJobs(
    { clock, logger, leaseMs, lookMs: settings.beatMs, atOnce: jobs },
    {
      name: 'retrieval',
      async open() {
        return (await documents.find('retrievals', { where: { phase: 'open' }, order: 'oldest', limit: 1000 })).items
      },
      newest: ({ id }) => newestTerm(documents, id),
      claim: (retrieval, last, as) => claim({ documents, clock, owner, leaseMs }, retrieval, last, as),
      isEnded: ({ state }) => isRetrievalEnded(state),
      end: retrieval => documents.upsert('retrievals', [{ ...retrieval, phase: 'ended' }]),
      mayRun: knows,
      run: (retrieval, term, stopping) => runTerm(run, retrieval, term, stopping),
    },
  )
}
