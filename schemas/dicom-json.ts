/** The DICOM JSON Model (PS3.18 Annex F), as far as its shape goes. */

/** One person's name by component group (PS3.18 F.2.2). */
export interface PersonName {
  Alphabetic?: string
  Ideographic?: string
  Phonetic?: string
}

export type DicomValue = string | number | null | PersonName | DicomAttributes

/** At most one of the three; none where the element is empty. */
export interface DicomElement {
  vr: string
  Value?: DicomValue[]
  BulkDataURI?: string
  /** base64 */
  InlineBinary?: string
}

/** By tag: eight upper-case hexadecimal digits. */
export interface DicomAttributes {
  [tag: string]: DicomElement
}

export const isPersonName = (value: DicomValue): value is PersonName =>
  typeof value === 'object' &&
  value !== null &&
  Object.keys(value).every(key => ['Alphabetic', 'Ideographic', 'Phonetic'].includes(key))
