/** The terms of a replay: who runs it, and how far it is (storage/terms.ts). */
import type { Clock } from '../../monitoring/clock.ts'
import { noCounts, type ReplayDoc, type ReplayRunDoc } from '../../schemas/replay.ts'
import type { DocumentStore } from '../../storage/documents.ts'
import { beginTerm, type Term as TermOf, type TermStore } from '../../storage/terms.ts'

export const runId = (replay: string, epoch: number): string => `${replay}:${epoch}`

/** The newest term of a replay. */
export async function newestTerm(documents: DocumentStore, replay: string): Promise<ReplayRunDoc | undefined> {
  const { items } = await documents.find('replayRuns', { where: { replay }, order: 'newest', limit: 1 })
  return items[0]
}

export interface TermOptions {
  documents: DocumentStore
  clock: Clock
  owner: string
  leaseMs: number
}

export type Progress = Partial<
  Pick<ReplayRunDoc, 'state' | 'owner' | 'next' | 'counts' | 'codes' | 'activeMs' | 'givesWayTo' | 'error'>
>

export type Term = TermOf<ReplayRunDoc>

const storeOf = (documents: DocumentStore, replay: string): TermStore<ReplayRunDoc> => ({
  newest: () => newestTerm(documents, replay),
  insert: doc => documents.insert('replayRuns', doc),
  upsert: doc => documents.upsert('replayRuns', [doc]),
})

/** Begins the term after `last`. @returns undefined when someone else was first */
export async function claim(
  options: TermOptions,
  replay: ReplayDoc,
  last: ReplayRunDoc | undefined,
  as: Progress = {},
): Promise<Term | undefined> {
  const { documents, clock, owner } = options
  const epoch = (last?.epoch ?? 0) + 1
  const now = clock.now()
  const doc: ReplayRunDoc = {
    next: last?.next ?? replay.ranges.map(({ partition, from }) => ({ partition, offset: from })),
    counts: last?.counts ?? { ...noCounts },
    codes: last?.codes ?? {},
    activeMs: last?.activeMs ?? 0,
    startedAt: last?.startedAt ?? now,
    id: runId(replay.id, epoch),
    replay: replay.id,
    epoch,
    owner,
    beat: 0,
    state: 'running',
    givesWayTo: null,
    updatedAt: now,
    error: null,
    ...as,
  }
  return await beginTerm(storeOf(documents, replay.id), options, doc)
}
