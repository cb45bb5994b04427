/** What was said of a study over time, and what the patient had before. */
import { ago, time } from '../format.ts'
import { followLink } from '../router.ts'
import { Age } from '../ui/basics.tsx'
import type { StudyAssessed, StudyFacts } from './api.ts'
import { completedWords, groupWords, studyHref } from './words.ts'

const noQuery = new URLSearchParams()

export function Revisions({ revisions }: { revisions: readonly StudyAssessed[] }) {
  return (
    <section className="block">
      <h2>History</h2>
      {revisions.length === 0 && <p className="muted">Not assessed yet: its images or answers are still coming.</p>}
      <ol className="revisions">
        {revisions.map(one => (
          <li key={one.id}>
            <b>Revision {one.revision}</b>{' '}
            <span className="muted small" title={time(one.completedAt)}>
              <Age at={one.assessedAt ?? one.completedAt} says={ago} />
              {(one.changes === null || one.changes.images.length > 0) && `, ${completedWords(one)}`}
            </span>
            <div className="small">{changeWords(one)}</div>
            {one.missing.length > 0 && (
              <div className="small">
                Missing: {one.missing.length} {one.missing.length === 1 ? 'answer' : 'answers'} of{' '}
                {[...new Set(one.missing.map(({ model }) => model))].join(', ')}
              </div>
            )}
          </li>
        ))}
      </ol>
    </section>
  )
}

function changeWords({ changes, instances, series, findings }: StudyAssessed): string {
  if (changes === null) return `${instances} ${instances === 1 ? 'image' : 'images'} in ${series} series`
  const images = changes.images.length
  const parts = [
    ...(images > 0 ? [`${images} ${images === 1 ? 'image' : 'images'} came late`] : []),
    ...(changes.series.length > 0 ? [`${changes.series.length} new series`] : []),
    ...changes.findings.map(
      ({ label, group, after }) =>
        `${label}${group === null ? '' : ` (${groupWords(group)})`} ${after ? 'now found' : 'no longer found'}`,
    ),
  ]
  if (parts.length > 0) return parts.join('; ')
  const corrected = findings.some(one => one.corrected > 0)
  return corrected ? 'A person corrected an answer; the findings stand' : 'The same findings, from other answers'
}

interface EarlierProps {
  studies: readonly StudyFacts[]
  patient: { pseudonym: string } | null
}

export function Earlier({ studies, patient }: EarlierProps) {
  if (patient === null) return null
  return (
    <section className="block">
      <h2>The patient's other studies</h2>
      {studies.length === 0 && <p className="muted">None is known here.</p>}
      <ul className="lines">
        {studies.map(({ id, modality, bodyPart, lastAt, instances }) => (
          <li key={id}>
            <a href={studyHref(id, noQuery)} onClick={followLink}>
              {[modality, bodyPart].filter(Boolean).join(' ') || 'Study'}
            </a>{' '}
            <span className="muted small" title={time(lastAt)}>
              <Age at={lastAt} says={ago} />, {instances} {instances === 1 ? 'image' : 'images'}
            </span>
          </li>
        ))}
      </ul>
    </section>
  )
}
