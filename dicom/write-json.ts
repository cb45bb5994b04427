/** A data set in explicit VR little endian from the DICOM JSON model (PS3.18 Annex F), whole: every VR, binary values too. */
import { type DicomAttributes, type DicomElement, type DicomValue, isPersonName } from '../schemas/dicom-json.ts'
import { RaylogError } from '../schemas/errors.ts'

/** A value that stands apart from its JSON. */
export interface BulkValue {
  /** One, or the frames in their order. */
  parts: readonly Buffer[]
  /** Each part is a compressed frame. */
  encapsulated: boolean
}

/** Undefined for what was not sent. */
export type BulkOf = (uri: string) => BulkValue | undefined

const longVrs = new Set(['OB', 'OD', 'OF', 'OL', 'OV', 'OW', 'SQ', 'SV', 'UC', 'UN', 'UR', 'UT', 'UV'])
const texts = new Set('AE AS CS DA DS DT IS LO LT PN SH ST TM UC UI UR UT'.split(' '))
const binary = new Set(['OB', 'OD', 'OF', 'OL', 'OV', 'OW', 'UN'])
type WriteNumber = (bytes: Buffer, value: DicomValue, at: number) => void
const numbers: Readonly<Record<string, { size: number; write: WriteNumber }>> = {
  US: { size: 2, write: (bytes, value, at) => bytes.writeUInt16LE(Number(value), at) },
  SS: { size: 2, write: (bytes, value, at) => bytes.writeInt16LE(Number(value), at) },
  UL: { size: 4, write: (bytes, value, at) => bytes.writeUInt32LE(Number(value), at) },
  SL: { size: 4, write: (bytes, value, at) => bytes.writeInt32LE(Number(value), at) },
  FL: { size: 4, write: (bytes, value, at) => bytes.writeFloatLE(float(value), at) },
  FD: { size: 8, write: (bytes, value, at) => bytes.writeDoubleLE(float(value), at) },
  UV: { size: 8, write: (bytes, value, at) => bytes.writeBigUInt64LE(BigInt(String(value)), at) },
  SV: { size: 8, write: (bytes, value, at) => bytes.writeBigInt64LE(BigInt(String(value)), at) },
  AT: {
    size: 4,
    write(bytes, value, at) {
      bytes.writeUInt16LE(Number.parseInt(String(value).slice(0, 4), 16), at)
      bytes.writeUInt16LE(Number.parseInt(String(value).slice(4), 16), at + 2)
    },
  },
}
/** What JSON has no number for (F.2.3). */
const named: Readonly<Record<string, number>> = { NaN: Number.NaN, inf: Infinity, '-inf': -Infinity }
const float = (value: DicomValue) => named[String(value)] ?? Number(value)

const maxDepth = 64
const pixelData = '7FE00010'

/**
 * The elements in the order of their tags, without file meta and group lengths. Texts are UTF-8, and (0008,0005) says so.
 * @throws RaylogError bad-request, naming the element that cannot be written
 */
export function writeJson(attributes: DicomAttributes, bulkOf: BulkOf): Buffer {
  return Buffer.concat(elements({ ...attributes, '00080005': { vr: 'CS', Value: ['ISO_IR 192'] } }, bulkOf, 0))
}

function elements(attributes: DicomAttributes, bulkOf: BulkOf, depth: number): Buffer[] {
  if (depth > maxDepth) throw new RaylogError('bad-request', `sequences nested deeper than ${maxDepth}`)
  const tags = Object.keys(attributes)
    .filter(tag => !tag.startsWith('0002') && !tag.endsWith('0000'))
    .toSorted((a, b) => (a.toUpperCase() < b.toUpperCase() ? -1 : 1))
  return tags.flatMap(tag => {
    const element = attributes[tag]
    if (!element) return []
    try {
      return written(tag, element, bulkOf, depth)
    } catch (thrown) {
      if (thrown instanceof RaylogError) throw thrown
      // Out of range, no number, no hexadecimal digits: Node's words quote the value.
      throw new RaylogError('bad-request', `element ${tag} has a value that its VR does not have`)
    }
  })
}

function written(
  tag: string,
  { vr, Value = [], InlineBinary, BulkDataURI }: DicomElement,
  bulkOf: BulkOf,
  depth: number,
) {
  if (vr === 'SQ') {
    const body = Buffer.concat(Value.map(item => itemOf(item, bulkOf, depth)))
    return [head(tag, vr, body.length), body]
  }
  if (BulkDataURI !== undefined) {
    const bulk = bulkOf(BulkDataURI)
    if (!bulk) throw new RaylogError('bad-request', `element ${tag} refers to bulk data that the request does not have`)
    if (bulk.encapsulated && depth === 0 && tag.toUpperCase() === pixelData) return encapsulated(bulk.parts)
    const value = padded(Buffer.concat(bulk.parts), '\0')
    return [head(tag, vr, value.length), value]
  }
  const value = bytesOf(tag, vr, Value, InlineBinary)
  return [head(tag, vr, value.length), value]
}

function itemOf(item: DicomValue, bulkOf: BulkOf, depth: number): Buffer {
  const isItem = typeof item === 'object' && item !== null && !isPersonName(item)
  const body = Buffer.concat(isItem ? elements(item, bulkOf, depth + 1) : [])
  return Buffer.concat([tagged('FFFEE000', body.length), body])
}

function bytesOf(tag: string, vr: string, values: readonly DicomValue[], inline: string | undefined): Buffer {
  if (binary.has(vr)) return padded(Buffer.from(inline ?? '', 'base64'), '\0')
  const number = numbers[vr]
  if (number) {
    const bytes = Buffer.alloc(number.size * values.length)
    for (const [i, value] of values.entries()) number.write(bytes, value, i * number.size)
    return bytes
  }
  if (!texts.has(vr)) throw new RaylogError('bad-request', `element ${tag} has no VR that there is`)
  return padded(Buffer.from(values.map(value => textOf(value, vr)).join('\\'), 'utf8'), vr === 'UI' ? '\0' : ' ')
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

const padded = (bytes: Buffer, pad: string) =>
  bytes.length % 2 === 0 ? bytes : Buffer.concat([bytes, Buffer.from(pad, 'latin1')])

function tagged(tag: string, length: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeUInt16LE(Number.parseInt(tag.slice(0, 4), 16), 0)
  bytes.writeUInt16LE(Number.parseInt(tag.slice(4), 16), 2)
  bytes.writeUInt32LE(length, 4)
  return bytes
}

/** A text that 16 bits of length cannot say is of unknown VR (PS3.5 6.2.2, note 3). */
function head(tag: string, said: string, length: number): Buffer {
  const vr = !longVrs.has(said) && length > 0xfffe ? 'UN' : said
  const long = longVrs.has(vr)
  const bytes = Buffer.concat([tagged(tag, 0), Buffer.alloc(long ? 4 : 0)])
  bytes.write(vr, 4, 'latin1')
  if (long) bytes.writeUInt32LE(length, 8)
  else bytes.writeUInt16LE(length, 6)
  return bytes
}

/** A fragment for each frame, after an empty offset table (PS3.5 A.4). */
function encapsulated(frames: readonly Buffer[]): Buffer[] {
  const fragments = frames.flatMap(frame => {
    const value = padded(frame, '\0')
    return [tagged('FFFEE000', value.length), value]
  })
  return [head(pixelData, 'OB', 0xffffffff), tagged('FFFEE000', 0), ...fragments, tagged('FFFEE0DD', 0)]
}
