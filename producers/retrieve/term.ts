/** The terms of a retrieval: who works on it, and how far it is (storage/terms.ts). */
import type { RetrievalDoc, RetrievalRunDoc } from '../../schemas/retrieval.ts'
import type { DocumentStore } from '../../storage/documents.ts'
import { beginTerm, type Lease, type Term as TermOf, type TermStore } from '../../storage/terms.ts'

export type Term = TermOf<RetrievalRunDoc>
export type Progress = Parameters<Term['save']>[0]

export async function newestTerm(documents: DocumentStore, retrieval: string): Promise<RetrievalRunDoc | undefined> {
  const { items } = await documents.find('retrievalRuns', { where: { retrieval }, order: 'newest', limit: 1 })
  return items[0]
}

const storeOf = (documents: DocumentStore, retrieval: string): TermStore<RetrievalRunDoc> => ({
  newest: () => newestTerm(documents, retrieval),
  insert: doc => documents.insert('retrievalRuns', doc),
  upsert: doc => documents.upsert('retrievalRuns', [doc]),
})

/** Begins the term after `last`. @returns undefined when someone else was first */
export async function claim(
  { documents, owner, ...lease }: Lease & { documents: DocumentStore; owner: string },
  retrieval: RetrievalDoc,
  last: RetrievalRunDoc | undefined,
  as: Progress = {},
): Promise<Term | undefined> {
  const epoch = (last?.epoch ?? 0) + 1
  const now = lease.clock.now()
  const doc: RetrievalRunDoc = {
    studies: last?.studies ?? null,
    unknown: last?.unknown ?? 0,
    received: last?.received ?? 0,
    startedAt: last?.startedAt ?? now,
    id: `${retrieval.id}:${epoch}`,
    retrieval: retrieval.id,
    ...{ epoch, owner, beat: 0, state: 'running', updatedAt: now, error: null },
    ...as,
  }
  return await beginTerm(storeOf(documents, retrieval.id), lease, doc)
}
