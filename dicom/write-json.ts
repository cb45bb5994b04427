/** A data set in explicit VR little endian from the DICOM JSON model (PS3.18 Annex F), whole: every VR, binary values too. */
import { type DicomAttributes, type DicomElement, type DicomValue, isPersonName } from '../schemas/dicom-json.ts'
import { RaylogError } from '../schemas/errors.ts'
import { head, itemTag, padding, sequenceEnd, tagged, textBytes, undefinedLength } from './element.ts'

/** A value that stands apart from its JSON. */
export interface BulkValue {
  /** One, or the frames in their order. */
  parts: readonly Buffer[]
  /** Each part is a compressed frame. */
  encapsulated: boolean
}

/** Undefined for what was not sent. */
export type BulkOf = (uri: string) => BulkValue | undefined

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

/** What may still be written. Values stand apart from their JSON, so a small one can name a large one a thousand times. */
interface Room {
  bytes: number
}

/**
 * The elements in the order of their tags, without file meta and group lengths. Texts are UTF-8, and (0008,0005) says so.
 * @param maxBytes of all values together
 * @throws RaylogError bad-request, naming the element that cannot be written; too-large
 */
export function writeJson(attributes: DicomAttributes, bulkOf: BulkOf, maxBytes: number): Buffer {
  const all = { ...attributes, '00080005': { vr: 'CS', Value: ['ISO_IR 192'] } }
  return Buffer.concat(elements(all, { bulkOf, room: { bytes: maxBytes }, depth: 0 }))
}

interface At {
  bulkOf: BulkOf
  room: Room
  depth: number
}

function elements(attributes: DicomAttributes, at: At): Buffer[] {
  if (at.depth > maxDepth) throw new RaylogError('bad-request', `sequences nested deeper than ${maxDepth}`)
  const tags = Object.keys(attributes)
    .filter(tag => !tag.startsWith('0002') && !tag.endsWith('0000'))
    .toSorted((a, b) => (a.toUpperCase() < b.toUpperCase() ? -1 : 1))
  return tags.flatMap(tag => {
    const element = attributes[tag]
    if (!element) return []
    try {
      return written(tag, element, at)
    } catch (thrown) {
      if (thrown instanceof RaylogError) throw thrown
      // Out of range, no number, no hexadecimal digits: Node's words quote the value.
      throw new RaylogError('bad-request', `element ${tag} has a value that its VR does not have`)
    }
  })
}

const sizeOf = (parts: readonly Buffer[]) => parts.reduce((sum, { length }) => sum + length, 0)

function written(tag: string, { vr, Value = [], InlineBinary, BulkDataURI }: DicomElement, at: At): Buffer[] {
  if (vr === 'SQ') {
    const body = Value.flatMap(item => itemOf(item, at))
    return [head(tag, vr, sizeOf(body)), ...body]
  }
  if (BulkDataURI === undefined) {
    const value = bytesOf(tag, vr, Value, InlineBinary)
    take(at.room, value.length)
    return [head(tag, vr, value.length), value]
  }
  const bulk = at.bulkOf(BulkDataURI)
  if (!bulk) throw new RaylogError('bad-request', `element ${tag} refers to bulk data that the request does not have`)
  const size = sizeOf(bulk.parts)
  take(at.room, size)
  if (bulk.encapsulated && at.depth === 0 && tag.toUpperCase() === pixelData) return encapsulated(bulk.parts)
  const pad = padding(size, '\0')
  return [head(tag, vr, size + pad.length), ...bulk.parts, pad]
}

/** @throws RaylogError too-large */
function take(room: Room, bytes: number): void {
  room.bytes -= bytes
  if (room.bytes < 0) throw new RaylogError('too-large', 'its values are more than dicomweb.maxJsonBytes')
}

function itemOf(item: DicomValue, at: At): Buffer[] {
  const isItem = typeof item === 'object' && item !== null && !isPersonName(item)
  const body = isItem ? elements(item, { ...at, depth: at.depth + 1 }) : []
  return [tagged(itemTag, sizeOf(body)), ...body]
}

function bytesOf(tag: string, vr: string, values: readonly DicomValue[], inline: string | undefined): Buffer {
  if (binary.has(vr)) {
    const value = Buffer.from(inline ?? '', 'base64')
    return Buffer.concat([value, padding(value.length, '\0')])
  }
  const number = numbers[vr]
  if (number) {
    const bytes = Buffer.alloc(number.size * values.length)
    for (const [i, value] of values.entries()) number.write(bytes, value, i * number.size)
    return bytes
  }
  if (!texts.has(vr)) throw new RaylogError('bad-request', `element ${tag} has no VR that there is`)
  return textBytes(vr, values)
}

/** A fragment for each frame, after an empty offset table (PS3.5 A.4). */
function encapsulated(frames: readonly Buffer[]): Buffer[] {
  const fragments = frames.flatMap(frame => {
    const pad = padding(frame.length, '\0')
    return [tagged(itemTag, frame.length + pad.length), frame, pad]
  })
  return [head(pixelData, 'OB', undefinedLength), tagged(itemTag, 0), ...fragments, tagged(sequenceEnd, 0)]
}
