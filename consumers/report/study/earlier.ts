/** What was found before in the same patient, at the same site. */
import type { StudyAssessed } from '../../../schemas/topics.ts'
import type { DocumentStore } from '../../../storage/documents.ts'
import { allOf } from '../../../storage/documents.ts'
import type { EarlierResult } from './format.ts'

/** Studies of a patient that are looked at, at most: some of them may be younger. */
const mostLookedAt = 1000

/** Newest first; of studies that began before this one, with what was said of them until it was assessed. */
export async function earlierResults(
  documents: DocumentStore,
  { study, site, patient, firstAt, completedAt, assessedAt }: StudyAssessed,
  most: number,
): Promise<EarlierResult[]> {
  if (patient === null || most === 0) return []
  const began = firstAt ?? completedAt
  const { items } = await documents.find('studies', { where: { patient, site }, limit: mostLookedAt })
  const before = items
    .filter(one => one.id !== study && one.firstAt < began)
    .sort((a, b) => b.firstAt - a.firstAt || (a.id < b.id ? -1 : 1))
    .slice(0, most)
  if (before.length === 0) return []
  const revisions = await allOf(documents, 'assessments', { study: { in: before.map(({ id }) => id) } })
  const until = assessedAt ?? Number.POSITIVE_INFINITY
  return before.map(({ id, studyUid, modality, firstAt: at }) => {
    const [newest] = revisions
      .filter(one => one.study === id && (one.assessedAt ?? one.completedAt) <= until)
      .sort((a, b) => b.revision - a.revision)
    return {
      ...{ study: id, studyUid, modality, at },
      revision: newest?.revision ?? 0,
      findings: newest?.findings ?? [],
    }
  })
}
