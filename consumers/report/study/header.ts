/** Elements of an image's header that reports of its study repeat, so that they are filed with it. */
import { type DicomAttributes, isPersonName } from '../../../schemas/dicom-json.ts'

/** Patient (PS3.3 C.7.1.1), General Study and Patient Study (C.7.2.1, C.7.2.2): values of the study, not of an image. */
export const patientAndStudyTags: readonly string[] = [
  // Patient
  ...['00100010', '00100020', '00100021', '00100024', '00100030', '00100032', '00100040', '00101001', '00101002'],
  ...['00102160', '00104000', '00100200'],
  // Whoever was de-identified stays so
  ...['00120062', '00120063', '00120064'],
  // General Study
  ...['0020000D', '00080020', '00080030', '00080050', '00080051', '00080090', '00200010', '00081030', '00081032'],
  ...['00081048', '00081060'],
  // Patient Study
  ...['00081080', '00101010', '00101020', '00101030', '00102000', '00102180', '001021B0', '00380010', '00380014'],
]

/** Beside them: where it was made, what was ordered, the offset of its times, and whether names may be burnt in. */
const others = ['00080005', '00080080', '00080201', '00081040', '00280301', '00400275']

const wanted = new Set([...patientAndStudyTags, ...others])

export const reportedHeader = (attributes: DicomAttributes): DicomAttributes =>
  Object.fromEntries(Object.entries(attributes).filter(([tag]) => wanted.has(tag)))

/** The first value as text; null where there is none. */
export function firstText(attributes: DicomAttributes, tag: string): string | null {
  const value = attributes[tag]?.Value?.[0]
  if (typeof value === 'number') return String(value)
  return typeof value === 'string' && value.trim() !== '' ? value.trim() : null
}

/** A person name as it stands in a data set: `alphabetic=ideographic=phonetic` (PS3.5 6.2, PN). */
export function personNameText(attributes: DicomAttributes, tag: string): string | null {
  const value = attributes[tag]?.Value?.[0]
  if (value === undefined || !isPersonName(value)) return null
  const text = [value.Alphabetic, value.Ideographic, value.Phonetic].map(group => group ?? '').join('=')
  return text.replace(/=+$/, '') || null
}
