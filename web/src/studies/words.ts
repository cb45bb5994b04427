/** Studies in words and levels. */
import type { Level } from '../live/finding.ts'
import { hrefWith } from '../router.ts'
import type { Priority, StudyAssessed, StudyFinding, WorklistLine } from './api.ts'

export const priorityWords: Readonly<Record<Priority, string>> = { stat: 'STAT', urgent: 'Urgent', routine: 'Routine' }
export const priorityLevel: Readonly<Record<Priority, Level>> = { stat: 'attention', urgent: 'check', routine: 'none' }

export const stateWords: Readonly<Record<WorklistLine['state'], string>> = {
  gathering: 'Images are still coming',
  waiting: 'To be read',
  reviewed: 'Reviewed',
}

export function completedWords(assessed: StudyAssessed): string {
  const { expected, instances, revision } = assessed
  // An archive that has the reports of an earlier revision counts them too: then its number says nothing.
  const tells = expected && instances < expected.images && (revision === 1 || expected.source !== 'pacs')
  return `${reasonWords(assessed)}${tells ? ` (${instances} of the ${expected.images} that were announced)` : ''}`
}

function reasonWords({ completedBy, expected, actor }: StudyAssessed): string {
  if (completedBy === 'expected_count')
    return `all ${expected?.images ?? ''} images that the ${expected?.source ?? 'sender'} announced were there`
  if (completedBy === 'forced') return `completed by ${actor ?? 'a person'}`
  if (completedBy === 'rule') return 'complete by a rule of the settings'
  return 'no more images came'
}

/** How much attention a finding wants. */
export function levelOfFinding({ present, quality, priority }: StudyFinding): Level {
  if (!present) return quality.length > 0 ? 'check' : 'clear'
  if (quality.includes('near-threshold')) return 'check'
  return priority === 'routine' ? 'none' : 'attention'
}

export const nameOfModel = (model: string): string => model.split('@', 1)[0] ?? model

const sides: Readonly<Record<string, string>> = { L: 'left', R: 'right', B: 'both sides', U: 'unpaired' }
export const groupWords = (group: string): string => sides[group] ?? `series ${group.split('.').at(-1)}`

export const studyHref = (id: string, query: URLSearchParams): string =>
  hrefWith(`/worklist/${encodeURIComponent(id)}`, query)

/** What a study is called where its findings are not the point: what was taken, where, and of whom. */
export const studyName = ({ modality, site, patient }: Pick<WorklistLine, 'modality' | 'site' | 'patient'>): string =>
  [modality ?? 'Image', site, patient && (patient.name ?? `Patient ${patient.pseudonym.slice(3, 11)}`)]
    .filter(Boolean)
    .join(' · ')
