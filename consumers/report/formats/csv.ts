/** One line a finding, for tables. Names only where the settings show them. */

import { csvLine } from '../../../schemas/csv.ts'
import { reportTypes } from '../../../schemas/report-types.ts'
import { codeOfLabel, examinedAt, modelOf, studyUidOf } from '../study/facts.ts'
import { type StudyContent, type StudyFormat, whole } from '../study/format.ts'
import { standingOf } from '../texts/phrases.ts'

const columns = [
  ...['study', 'study_uid', 'accession', 'patient', 'patient_id', 'site', 'modality', 'examined_at'],
  ...['revision', 'status', 'assessed_at', 'study_priority', 'images', 'missing_answers'],
  ...['model', 'version', 'label', 'code_scheme', 'code', 'group', 'present', 'score', 'threshold', 'rule'],
  ...['positive_images', 'analysed_images', 'corrected_images', 'quality', 'priority'],
]

/** With a header; of a study in which nothing was looked for, the header alone. */
function studyCsv(content: StudyContent): string {
  const { assessed, identity, showNames, site } = content
  const shown = showNames ? identity : null
  const common = [
    assessed.study,
    studyUidOf(content),
    shown?.accession ?? null,
    assessed.patient,
    shown?.patientId ?? null,
    site,
    assessed.modality,
    new Date(examinedAt(content)).toISOString(),
    assessed.revision,
    standingOf(content),
    new Date(content.madeAt).toISOString(),
    assessed.priority,
    assessed.instances,
    assessed.missing.length,
  ]
  const lines = assessed.findings.map(finding => {
    const { name, version } = modelOf(finding.model)
    const code = codeOfLabel(finding.label, content)
    return csvLine([
      ...common,
      ...[name, version, finding.label, code?.scheme ?? null, code?.value ?? null, finding.group, finding.present],
      ...[finding.score, finding.threshold, finding.rule, finding.positive, finding.analysed, finding.corrected],
      ...[finding.quality.join(' '), finding.priority],
    ])
  })
  return csvLine(columns) + lines.join('')
}

export const csv = (): StudyFormat => ({
  name: 'csv',
  contentType: reportTypes.csv.contentType,
  render: content => Promise.resolve(whole(Buffer.from(studyCsv(content)))),
})
