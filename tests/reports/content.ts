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

/** A study that fills pages: two models, four findings, six images with doubts and people's words, and a patient with a past. */
export function aLongStudy(over: Partial<StudyContent> = {}): StudyContent {
  const nodules = { name: 'nodules', version: '2.3.1', digest: 'e'.repeat(64), runtime: 'onnx' }
  const region = { label: 'nodule', score: 0.8, frame: 1, points: [150, 150, 300, 160, 310, 300, 140, 290] }
  const said: Partial<Prediction>[] = [
    { quality: ['near-threshold', 'one-frame-of-many', 'uncertain', 'motion'], score: 0.52, regions: [region] },
    { score: 0.97, probabilities: { pneumonia: 0.97, normal: 0.03 } },
    { label: 'normal', score: 0.12, confidence: 0.88, probabilities: { pneumonia: 0.12, normal: 0.88 } },
    { model: nodules, label: 'nodule', score: 0.81, probabilities: { nodule: 0.81 }, regions: [region] },
    { model: nodules, label: 'nodule', score: 0.77, probabilities: { nodule: 0.77 }, quality: ['near-threshold'] },
    { model: nodules, label: 'none', score: 0.04, probabilities: { nodule: 0.04, none: 0.96 } },
  ]
  const pictures = said.map((one, i) => anImage(i + 1, one))
  const corrected = { verdict: 'corrected' as const, label: 'normal', at: began }
  const spoken = pictures.map((image, i) =>
    i === 1 ? { ...image, said: image.said.map(one => ({ ...one, verdict: corrected })) } : image,
  )
  const content = aContent({ images: spoken, ...over })
  const findings = [
    aFinding({ instances: ['in_0002', 'in_0001'], positive: 2, analysed: 3, score: 0.97, corrected: 1 }),
    aFinding({ label: 'pleural effusion', present: false, score: 0.08, instances: [], positive: 0, analysed: 3 }),
    ...['L', 'R'].map((group, i) =>
      aFinding({
        ...{ model: 'nodules@2.3.1', label: 'nodule', group, instances: [`in_000${4 + i}`], analysed: 1 },
        ...{ score: i === 0 ? 0.81 : 0.77, quality: i === 0 ? [] : ['near-threshold'], priority: 'routine' },
      }),
    ),
  ]
  const days = (count: number) => began - count * 86_400_000
  const before = { studyUid: '1.2.9', modality: 'DX' }
  return {
    ...content,
    assessed: { ...content.assessed, findings, priority: 'stat' },
    earlier: [
      {
        ...before,
        study: 'st_a',
        at: days(40),
        revision: 2,
        findings: [aFinding(), aFinding({ label: 'nodule', present: false })],
      },
      { ...before, study: 'st_b', at: days(400), revision: 1, findings: [aFinding({ present: false, score: 0.1 })] },
      { ...before, study: 'st_c', modality: 'CT', at: days(900), revision: 0, findings: [] },
    ],
  }
}
