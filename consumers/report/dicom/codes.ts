/** Coded concepts of the reports (PS3.16), as items of code sequences. */
import { createHash } from 'node:crypto'
import { codeOfLabel } from '../study/facts.ts'
import type { Code, StudyContent } from '../study/format.ts'
import { line } from './text.ts'
import type { DataSet } from './write.ts'

const code = (scheme: string, value: string, meaning: string): Code => ({ scheme, value, meaning })
export const dcm = (value: string, meaning: string): Code => code('DCM', value, meaning)
export const sct = (value: string, meaning: string): Code => code('SCT', value, meaning)
export const ucum = (value: string, meaning: string): Code => code('UCUM', value, meaning)

/** The meaning is for people; the value, with its scheme, is what counts. */
export const codeItem = ({ scheme, value, meaning }: Code): DataSet => ({
  ...(value.length <= 16 ? { CodeValue: value } : { LongCodeValue: value }),
  CodingSchemeDesignator: line(scheme, 16),
  CodeMeaning: line(meaning) || value,
})

/** A private scheme, for labels that no standard's code is known for. */
export const ownScheme = '99RAYLOG'

/** The same label has the same code everywhere: one of ours where no other is known. */
export function conceptOf(label: string, content: Pick<StudyContent, 'codes'>): Code {
  const known = codeOfLabel(label, content)
  if (known) return known
  const plain = /^[\w.-]{1,16}$/.test(label)
  const value = plain ? label : `L${createHash('sha256').update(label).digest('hex').slice(0, 15)}`
  return code(ownScheme, value, line(label) || 'unnamed')
}

/** Procedures by modality, where the images do not say one (PS3.16 CID 100 and 10005). */
const procedures: Readonly<Record<string, Code>> = {
  CR: sct('168537006', 'Plain radiography'),
  DX: sct('168537006', 'Plain radiography'),
  CT: sct('77477000', 'Computed tomography'),
  MG: sct('71651007', 'Mammography'),
  MR: sct('113091000', 'Magnetic resonance imaging'),
  US: sct('16310003', 'Diagnostic ultrasonography'),
  XA: sct('77343006', 'Angiography'),
}
export const procedureOf = (modality: string | null): Code => procedures[modality ?? ''] ?? sct('363679005', 'Imaging')

/** Meanings of CID 29. */
const modalities: Readonly<Record<string, string>> = {
  CR: 'Computed Radiography',
  CT: 'Computed Tomography',
  DX: 'Digital Radiography',
  MG: 'Mammography',
  MR: 'Magnetic Resonance',
  NM: 'Nuclear Medicine',
  OT: 'Other Modality',
  PT: 'Positron emission tomography',
  SM: 'Slide Microscopy',
  US: 'Ultrasound',
  XA: 'X-Ray Angiography',
}
export const modalityCode = (modality: string | null): Code => {
  const value = modality !== null && /^[A-Z]{2,16}$/.test(modality) ? modality : 'OT'
  return dcm(value, modalities[value] ?? value)
}

/** Body Part Examined and its code (PS3.16 Annex L). */
const bodyParts: Readonly<Record<string, Code>> = {
  ABDOMEN: sct('818981001', 'Abdomen'),
  BRAIN: sct('12738006', 'Brain'),
  BREAST: sct('76752008', 'Breast'),
  CHEST: sct('816094009', 'Chest'),
  FOOT: sct('56459004', 'Foot'),
  HAND: sct('85562004', 'Hand'),
  HEAD: sct('69536005', 'Head'),
  HEART: sct('80891009', 'Heart'),
  HIP: sct('29836001', 'Hip'),
  KNEE: sct('72696002', 'Knee'),
  LIVER: sct('10200004', 'Liver'),
  LUNG: sct('39607008', 'Lung'),
  NECK: sct('45048000', 'Neck'),
  PELVIS: sct('816092008', 'Pelvis'),
  SHOULDER: sct('16982005', 'Shoulder'),
  SPINE: sct('421060004', 'Spine'),
}
export const bodyPartCode = (bodyPart: string | null): Code | undefined => bodyParts[bodyPart?.toUpperCase() ?? '']

/** CID 244. */
const sides: Readonly<Record<string, Code>> = {
  L: sct('7771000', 'Left'),
  R: sct('24028007', 'Right'),
  B: sct('51440002', 'Bilateral'),
  U: sct('66459002', 'Unilateral'),
}
export const sideCode = (side: string | null): Code | undefined => sides[side ?? '']

/** CID 240. */
export const presence = {
  present: sct('52101004', 'Present'),
  absent: sct('272519000', 'Absent'),
}

/** What kind of thing a model looks for: it does not say, so the general term. */
export const categories = {
  finding: sct('404684003', 'Clinical finding'),
  structure: sct('49755003', 'Morphologically Abnormal Structure'),
}

/** CID 7162: what the algorithm is of. */
export const artificialIntelligence = dcm('123110', 'Artificial Intelligence')

/** IHE AIR's, of a piece of contributing equipment; its code is a placeholder until DICOM has one. */
export const processingAlgorithm = code('99IHE', 'Newcode1', 'Processing Algorithm')
