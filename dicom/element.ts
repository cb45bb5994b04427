/** Elements and items as bytes, little endian (PS3.5 7.1, 7.5), and their values of text. */
import { type DicomValue, isPersonName } from '../schemas/dicom-json.ts'
import { RaylogError } from '../schemas/errors.ts'

/** VRs with 4 bytes of length after 2 that are reserved (PS3.5 7.1.2). */
export const longVrs = new Set(['OB', 'OD', 'OF', 'OL', 'OV', 'OW', 'SQ', 'SV', 'UC', 'UN', 'UR', 'UT', 'UV'])

/** Delimiters have no VR (PS3.5 7.5). */
export const itemTag = 'FFFEE000'
export const sequenceEnd = 'FFFEE0DD'
/** The length of what ends with a delimiter. */
export const undefinedLength = 0xffffffff

/** A tag and a length, as of an item, and of elements without a VR. @param tag eight hexadecimal digits */
export function tagged(tag: string, length: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeUInt16LE(Number.parseInt(tag.slice(0, 4), 16), 0)
  bytes.writeUInt16LE(Number.parseInt(tag.slice(4), 16), 2)
  bytes.writeUInt32LE(length, 4)
  return bytes
}

/** What comes before a value of explicit VR. One that 16 bits of length cannot say is of unknown VR (PS3.5 6.2.2, note 3). */
export function head(tag: string, said: string, length: number): Buffer {
  const vr = !longVrs.has(said) && length > 0xfffe ? 'UN' : said
  const long = longVrs.has(vr)
  const bytes = Buffer.concat([tagged(tag, 0), Buffer.alloc(long ? 4 : 0)])
  bytes.write(vr, 4, 'latin1')
  if (long) bytes.writeUInt32LE(length, 8)
  else bytes.writeUInt16LE(length, 6)
  return bytes
}

/** What is to follow bytes so that they are even many. */
export const padding = (length: number, pad: '\0' | ' '): Buffer => Buffer.from(length % 2 === 0 ? '' : pad, 'latin1')

/** Values of a VR of text, in UTF-8. @throws RaylogError bad-request for an item among them */
export function textBytes(vr: string, values: readonly DicomValue[]): Buffer {
  const text = Buffer.from(values.map(value => textOf(value, vr)).join('\\'), 'utf8')
  return Buffer.concat([text, padding(text.length, vr === 'UI' ? '\0' : ' ')])
}

function textOf(value: DicomValue, vr: string): string {
  if (value === null) return ''
  if (typeof value === 'object') {
    if (!isPersonName(value)) throw new RaylogError('bad-request', `an item where a value of ${vr} is due`)
    const groups = [value.Alphabetic, value.Ideographic, value.Phonetic].map(group => group ?? '')
    return groups.join('=').replace(/=+$/, '')
  }
  // A decimal string has 16 characters at most (PS3.5 6.2).
  if (vr === 'DS' && typeof value === 'number' && String(value).length > 16)
    return String(Number(value.toPrecision(10)))
  return String(value)
}
