/** Identifiers of queries (PS3.4 C.4): flat data sets in implicit VR little endian, which every peer has (PS3.5 10.1). */
import dicomParser from 'dicom-parser'
import { RaylogError } from '../../schemas/errors.ts'

export const implicitLittle = '1.2.840.10008.1.2'

/** Attributes that are asked for or told, by keyword; UIDs are padded with NUL, texts with a space. */
const attributes = {
  SpecificCharacterSet: { tag: '00080005', pad: ' ' },
  SOPClassUID: { tag: '00080016', pad: '\0' },
  SOPInstanceUID: { tag: '00080018', pad: '\0' },
  StudyDate: { tag: '00080020', pad: ' ' },
  AccessionNumber: { tag: '00080050', pad: ' ' },
  QueryRetrieveLevel: { tag: '00080052', pad: ' ' },
  ModalitiesInStudy: { tag: '00080061', pad: ' ' },
  PatientID: { tag: '00100020', pad: ' ' },
  IssuerOfPatientID: { tag: '00100021', pad: ' ' },
  StudyInstanceUID: { tag: '0020000d', pad: '\0' },
  SeriesInstanceUID: { tag: '0020000e', pad: '\0' },
} as const

export type Keyword = keyof typeof attributes
export type Identifier = Partial<Record<Keyword, string>>

/** Values as UTF-8 where the identifier says so; several are separated by a backslash. */
export function writeIdentifier(identifier: Identifier): Buffer {
  const elements = Object.entries(identifier).map(([keyword, value]) => {
    const { tag, pad } = attributes[keyword as Keyword]
    const bytes = Buffer.from(value, 'utf8')
    const even = bytes.length % 2 ? Buffer.concat([bytes, Buffer.from(pad)]) : bytes
    const header = Buffer.alloc(8)
    header.writeUInt16LE(Number.parseInt(tag.slice(0, 4), 16), 0)
    header.writeUInt16LE(Number.parseInt(tag.slice(4), 16), 2)
    header.writeUInt32LE(even.length, 4)
    return { tag, bytes: Buffer.concat([header, even]) }
  })
  return Buffer.concat(elements.sort((a, b) => (a.tag < b.tag ? -1 : 1)).map(({ bytes }) => bytes))
}

/** @throws RaylogError peer-refused for what is no data set */
export function readIdentifier(bytes: Buffer): Identifier {
  try {
    const stream = new dicomParser.ByteStream(dicomParser.littleEndianByteArrayParser, bytes, 0)
    const set = new dicomParser.DataSet(stream.byteArrayParser, stream.byteArray, {})
    dicomParser.parseDicomDataSetImplicit(set, stream, bytes.length)
    const found: Identifier = {}
    for (const [keyword, { tag }] of Object.entries(attributes)) {
      const value = set.string(`x${tag}`)
      if (value !== undefined) found[keyword as Keyword] = value.replace(/\0+$/, '').trim()
    }
    return found
  } catch (cause) {
    throw new RaylogError('peer-refused', 'an answer to a query that cannot be parsed', { cause })
  }
}
