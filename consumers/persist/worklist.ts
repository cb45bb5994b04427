/** The worklist: one line a study, from its first image on, in the order in which to read. */
import { highest, rankOf, type WorklistDoc } from '../../schemas/study.ts'
import type { Instance, StudyAssessed, StudyRequest } from '../../schemas/topics.ts'
import type { DocumentStore } from '../../storage/documents.ts'

type Change = (line: WorklistDoc) => WorklistDoc

const blank = (id: string): WorklistDoc => ({
  id,
  version: 1,
  site: '',
  modality: null,
  patient: null,
  priority: 'routine',
  rank: 0,
  state: 'gathering',
  firstAt: 0,
  revision: 0,
  findings: [],
  missing: 0,
  expected: null,
})

/**
 * Writes a line, or begins it. On Kafka a study's events come by several replicas, so it is by compare-and-set; `change`
 * gives back what it was given where there is nothing to write.
 */
export async function keepLine(documents: DocumentStore, id: string, change: Change): Promise<void> {
  for (;;) {
    const known = await documents.get('worklist', id)
    const line = known ?? blank(id)
    const next = change(line)
    if (next === line) return
    const ranked = { ...next, rank: rankOf(next.priority, next.firstAt) }
    const written = known
      ? documents.advance('worklist', { ...ranked, version: known.version + 1 })
      : documents.insert('worklist', ranked)
    if (await written) return
  }
}

export const withImage =
  ({ site, modality, patient, priority, receivedAt, studyInstances }: Instance): Change =>
  line => {
    const urgent = highest([line.priority, priority])
    const { state } = line
    if (line.site !== '' && urgent === line.priority) return line
    return {
      ...line,
      site,
      modality: line.modality ?? modality,
      patient: line.patient ?? patient,
      priority: urgent,
      state: state === 'ordered' ? 'gathering' : state,
      firstAt: line.firstAt === 0 ? receivedAt : Math.min(line.firstAt, receivedAt),
      expected: line.expected ?? studyInstances,
    }
  }

export const withAssessment =
  (event: StudyAssessed): Change =>
  line => {
    if (line.revision >= event.revision) return line
    const found = event.findings.filter(({ present }) => present)
    return {
      ...line,
      site: event.site,
      modality: event.modality ?? line.modality,
      patient: event.patient ?? line.patient,
      priority: highest([event.priority, line.ordered ?? 'routine']),
      state: line.state === 'reviewed' && isOwnCorrection(event) ? 'reviewed' : 'waiting',
      firstAt: event.firstAt ?? (line.firstAt || event.completedAt),
      revision: event.revision,
      findings: found.map(({ model, label }) => `${model.split('@', 1)[0]}: ${label}`),
      missing: event.missing.length,
      expected: event.expected?.images ?? line.expected,
    }
  }

/** A revision that says what the reader has just said need not be read by them again. */
const isOwnCorrection = ({ changes, findings }: StudyAssessed): boolean =>
  changes?.images.length === 0 && findings.some(({ corrected }) => corrected > 0)

export const withRequest =
  ({ what, revision, priority }: StudyRequest): Change =>
  line => {
    if (what === 'reviewed' && line.state === 'waiting' && (revision ?? line.revision) >= line.revision)
      return { ...line, state: 'reviewed' }
    const before = line.ordered ?? 'routine'
    const ordered = highest([before, priority ?? 'routine'])
    if (what !== 'expect' || ordered === before) return line
    const state = line.site === '' ? 'ordered' : line.state
    return { ...line, ordered, state, priority: highest([line.priority, ordered]) }
  }
