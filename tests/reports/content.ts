/** The content of a study's reports, made up: for tests of what formats make of it. */
import type { StudyContent, StudyImage } from '../../consumers/report/study/format.ts'
import { ids } from '../../schemas/ids.ts'
import type { PatientIdentity } from '../../schemas/patient.ts'
import type { Prediction, StudyFinding } from '../../schemas/topics.ts'
import { anAssessment, anInstance, aPrediction, began } from '../gateway/samples.ts'

const study = ids.study('main', '1.2.3')
export const patient = 'pt_0123456789abcdefghijkl'

export const identity: PatientIdentity = {
  name: 'Yamada^Tarou=山田^太郎=やまだ^たろう',
  patientId: 'P-17',
  issuer: 'HOSP',
  birthDate: '19700131',
  sex: 'M',
  accession: 'A&B|17',
}

export const aFinding = (over: Partial<StudyFinding> = {}): StudyFinding => ({
  model: 'chest@1.0.0',
  label: 'pneumonia',
  score: 0.91,
  instances: ['in_0001'],
  present: true,
  threshold: 0.5,
  rule: 'any',
  group: null,
  positive: 1,
  analysed: 2,
  corrected: 0,
  quality: [],
  priority: 'urgent',
  ...over,
})

export function anImage(n: number, said: Partial<Prediction> | null = {}): StudyImage {
  const dicom = {
    sopClass: '1.2.840.10008.5.1.4.1.1.1.1',
    sopInstance: `1.2.3.1.${n}`,
    series: '1.2.3.1',
    study: '1.2.3',
    transferSyntax: '1.2.840.10008.1.2.1',
  }
  const id = `in_000${n}`
  const prediction = aPrediction(n, {
    instance: id,
    study,
    patient,
    label: 'pneumonia',
    score: 0.91,
    confidence: 0.91,
    probabilities: { pneumonia: 0.91, normal: 0.09 },
    ...said,
  })
  return {
    id,
    instance: anInstance(n, { id, study, dicom, patient, modality: 'DX', acquiredAt: began - 60_000 }),
    number: n,
    lost: null,
    said: said === null ? [] : [{ prediction, verdict: null }],
  }
}

export function aContent(over: Partial<StudyContent> = {}): StudyContent {
  const images = over.images ?? [anImage(1), anImage(2, { label: 'normal', score: 0.12, confidence: 0.88 })]
  return {
    assessed: anAssessment(1, {
      id: ids.studyRevision(study, 1),
      study,
      patient,
      modality: 'DX',
      revision: 1,
      series: 1,
      instances: images.length,
      images: images.map(({ id }) => id),
      completedBy: 'expected_count',
      expected: { images: images.length, source: 'order' },
      findings: [aFinding()],
      missing: [],
      changes: null,
      priority: 'urgent',
      firstAt: began,
      completedAt: began + 15_000,
      assessedAt: began + 16_000,
    }),
    madeAt: began + 16_000,
    site: 'main',
    institution: 'General Hospital',
    images,
    header: { '00081030': { vr: 'LO', Value: ['Chest PA & lateral'] } },
    identity,
    showNames: true,
    earlier: [],
    predecessor: null,
    codes: { pneumonia: { scheme: 'SCT', value: '233604007', meaning: 'Pneumonia' } },
    language: 'en',
    researchUseOnly: true,
    ...over,
  }
}

/** The same study in its second revision: an image came late, one finding went, a person corrected another. */
export function aRevision(over: Partial<StudyContent> = {}): StudyContent {
  const first = aContent(over)
  return {
    ...first,
    madeAt: began + 99_000,
    predecessor: { revision: 1, reports: [] },
    assessed: {
      ...first.assessed,
      id: ids.studyRevision(study, 2),
      revision: 2,
      assessedAt: began + 99_000,
      findings: [aFinding({ corrected: 1, group: 'L' }), aFinding({ group: 'R', present: false, score: 0.2 })],
      missing: [{ instance: 'in_0002', model: 'chest', code: 'decode-failed' }],
      changes: {
        images: ['in_0002'],
        series: [],
        findings: [
          { model: 'chest', label: 'pneumonia', group: 'L', before: false, after: true },
          { model: 'other', label: 'nodule', group: null, before: true, after: null },
        ],
      },
    },
  }
}

export const images = (count: number, said?: Parameters<typeof anImage>[1]): StudyImage[] =>
  Array.from({ length: count }, (_, i) => anImage(i + 1, said))

export function withFindings(findings: StudyFinding[], over: Partial<StudyContent> = {}): StudyContent {
  const of = aContent(over)
  return { ...of, assessed: { ...of.assessed, findings } }
}
