/** Identifiers of queries (PS3.4 C.4) by keyword, in implicit VR little endian, which every peer has (PS3.5 10.1). */

import { implicitLittle, readElements, writeElements } from '../../dicom/data-set.ts'
import { RaylogError } from '../../schemas/errors.ts'

/** Attributes that are asked for or told. */
const attributes = {
  SpecificCharacterSet: { tag: '00080005', vr: 'CS' },
  SOPClassUID: { tag: '00080016', vr: 'UI' },
  SOPInstanceUID: { tag: '00080018', vr: 'UI' },
  StudyDate: { tag: '00080020', vr: 'DA' },
  AccessionNumber: { tag: '00080050', vr: 'SH' },
  QueryRetrieveLevel: { tag: '00080052', vr: 'CS' },
  ModalitiesInStudy: { tag: '00080061', vr: 'CS' },
  PatientID: { tag: '00100020', vr: 'LO' },
  IssuerOfPatientID: { tag: '00100021', vr: 'LO' },
  StudyInstanceUID: { tag: '0020000D', vr: 'UI' },
  SeriesInstanceUID: { tag: '0020000E', vr: 'UI' },
} as const

export type Keyword = keyof typeof attributes
/** Several values are separated by a backslash; an empty one is asked for. */
export type Identifier = Partial<Record<Keyword, string>>

export function writeIdentifier(identifier: Identifier): Buffer {
  const set = Object.entries(identifier).map(([keyword, value]) => {
    const { tag, vr } = attributes[keyword as Keyword]
    return [tag, { vr, Value: value === '' ? [] : value.split('\\') }] as const
  })
  return writeElements(Object.fromEntries(set), implicitLittle)
}

/** @throws RaylogError peer-refused for what is no data set */
export function readIdentifier(bytes: Buffer): Identifier {
  try {
    const elements = readElements(bytes, implicitLittle)
    const found: Identifier = {}
    for (const [keyword, { tag, vr }] of Object.entries(attributes)) {
      const value = elements.text(tag, vr)
      if (value !== undefined) found[keyword as Keyword] = value.trim()
    }
    return found
  } catch (cause) {
    throw new RaylogError('peer-refused', 'an answer to a query that cannot be parsed', { cause })
  }
}
