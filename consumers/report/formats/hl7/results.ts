/** OBX segments: the conclusion, then of each finding code, score, sentences and algorithm, then where to look. */

import { components, type Encoded, type Part, segment, timestamp } from '../../../../hl7/message.ts'
import type { StudyFinding } from '../../../../schemas/topics.ts'
import { codeOfLabel, modelOf, studyUidOf } from '../../study/facts.ts'
import type { StudyContent } from '../../study/format.ts'
import { conclusion, findingSentences, ruleWords, standingOf, subjectOf } from '../../texts/phrases.ts'
import type { Speech } from '../../texts/texts.ts'

/** Codes of the results themselves: LOINC, DICOM (PS3.16 annex D), SNOMED CT; 99… is HL7's mark of a local table. */
const coded = {
  impression: components('19005-8', 'Radiology Imaging study [Impression] (narrative)', 'LN'),
  observation: components('18782-3', 'Radiology Study observation (narrative)', 'LN'),
  document: components('18748-4', 'Diagnostic imaging study', 'LN'),
  study: components('110180', 'Study Instance UID', 'DCM'),
  algorithm: components('111001', 'Algorithm Name', 'DCM'),
  algorithmVersion: components('111003', 'Algorithm Version', 'DCM'),
  present: components('52101004', 'Present', 'SCT'),
  absent: components('2667000', 'Absent', 'SCT'),
  score: components('score', 'Score of the model, 0 to 1', '99RAYLOG'),
  page: components('page', 'Study on the page of Raylog', '99RAYLOG'),
  noUnit: components('1', 'no units', 'UCUM'),
} as const

/** Table 0085: P preliminary, C a correction that takes the place of what was told before. */
export const statusOf = (content: StudyContent): 'P' | 'C' => (standingOf(content) === 'preliminary' ? 'P' : 'C')

interface Result {
  type: 'TX' | 'ST' | 'NM' | 'CE' | 'RP' | 'ED'
  what: Encoded
  /** Which of the same kind, or of which finding. */
  sub?: Part
  value: Part
  unit?: Part
  range?: Part
  abnormal?: 'A' | 'N'
  method?: Part
  equipment?: Part
}

export interface ResultOptions {
  /** Address of the page; null: no link. */
  linkBase: string | null
  pdf: Uint8Array | null
}

export function resultSegments(speech: Speech, content: StudyContent, options: ResultOptions): string[] {
  const { assessed } = content
  const uid = studyUidOf(content)
  const results: Result[] = [
    ...conclusion(speech, content.assessed.findings).map((value, i) => narrative(coded.impression, i + 1, value)),
    ...assessed.findings.flatMap((finding, i) => findingResults(speech, content, finding, i + 1)),
    ...(uid === null ? [] : [{ type: 'ST' as const, what: coded.study, value: uid }]),
    ...(options.linkBase === null ? [] : [link(options.linkBase, assessed.study)]),
    ...(options.pdf === null ? [] : [document(options.pdf)]),
  ]
  const at = timestamp(content.madeAt)
  return results.map((result, i) => observation(result, i + 1, { status: statusOf(content), at }))
}

function observation(result: Result, number: number, { status, at }: { status: 'P' | 'C'; at: string }): string {
  return segment('OBX', {
    1: number,
    2: result.type,
    3: result.what,
    4: result.sub ?? null,
    5: result.value,
    6: result.unit ?? null,
    7: result.range ?? null,
    8: result.abnormal ?? null,
    11: status,
    14: at,
    17: result.method ?? null,
    18: result.equipment ?? null,
  })
}

const narrative = (what: Encoded, sub: Part, value: string): Result => ({ type: 'TX', what, sub, value })

function codeOf(label: string, content: StudyContent): Encoded {
  const code = codeOfLabel(label, content)
  return code ? components(code.value, code.meaning, code.scheme, null, label) : components(null, label)
}

function findingResults(speech: Speech, content: StudyContent, finding: StudyFinding, number: number): Result[] {
  const { label, model, present, score, threshold, rule } = finding
  const abnormal = present ? 'A' : 'N'
  const { name, version } = modelOf(model)
  // A finding of each side has the same code: the number keeps them apart.
  const of = { sub: number }
  return [
    {
      ...{ type: 'CE', what: codeOf(label, content), ...of, abnormal },
      value: present ? coded.present : coded.absent,
      method: components(rule, ruleWords(speech, rule), '99RAYLOG'),
      equipment: components(model, 'RAYLOG'),
    },
    {
      ...{ type: 'NM', what: coded.score, ...of, abnormal },
      value: Number.isFinite(score) ? String(Number(score.toFixed(6))) : null,
      unit: coded.noUnit,
      range: threshold === null ? null : `<${Number(threshold.toFixed(6))}`,
    },
    narrative(
      coded.observation,
      of.sub,
      [`${subjectOf(speech, finding)}.`, ...findingSentences(speech, finding)].join(' '),
    ),
    { type: 'ST', what: coded.algorithm, ...of, value: name },
    { type: 'ST', what: coded.algorithmVersion, ...of, value: version },
  ]
}

const link = (base: string, study: string): Result => ({
  type: 'RP',
  what: coded.page,
  value: components(`${base.replace(/\/$/, '')}/worklist/${encodeURIComponent(study)}`, 'RAYLOG', 'TEXT', 'HTML'),
})

const document = (pdf: Uint8Array): Result => ({
  type: 'ED',
  what: coded.document,
  value: components('RAYLOG', 'AP', 'PDF', 'Base64', Buffer.from(pdf).toString('base64')),
})
