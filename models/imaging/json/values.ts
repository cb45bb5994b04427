/** Values of one element as DICOM JSON has them (PS3.18 F.2.3). */
import type { DicomElement, DicomValue } from '../../../schemas/dicom-json.ts'
import { personName } from '../attributes.ts'
import type { DecodeText } from '../dicom/text.ts'

export interface ValueContext {
  explicit: boolean
  little: boolean
}

/** In the Specific Character Set; the other texts are of the default repertoire (PS3.5 6.1.2.2). */
const inCharacterSet = new Set(['LO', 'LT', 'PN', 'SH', 'ST', 'UC', 'UT'])
/** One text, whatever stands in it. */
const single = new Set(['LT', 'ST', 'UT', 'UR'])
const texts = new Set(['AE', 'AS', 'CS', 'DA', 'DT', 'TM', 'UI', ...inCharacterSet, 'UR'])

type ReadNumber = (view: DataView, at: number, little: boolean) => number | string
const numbers: Readonly<Record<string, { size: number; read: ReadNumber }>> = {
  US: { size: 2, read: (view, at, little) => view.getUint16(at, little) },
  SS: { size: 2, read: (view, at, little) => view.getInt16(at, little) },
  UL: { size: 4, read: (view, at, little) => view.getUint32(at, little) },
  SL: { size: 4, read: (view, at, little) => view.getInt32(at, little) },
  FL: { size: 4, read: (view, at, little) => finite(view.getFloat32(at, little)) },
  FD: { size: 8, read: (view, at, little) => finite(view.getFloat64(at, little)) },
  UV: { size: 8, read: (view, at, little) => safe(view.getBigUint64(at, little)) },
  SV: { size: 8, read: (view, at, little) => safe(view.getBigInt64(at, little)) },
  AT: {
    size: 4,
    read: (view, at, little) => (hex(view.getUint16(at, little)) + hex(view.getUint16(at + 2, little))).toUpperCase(),
  },
}

const hex = (value: number) => value.toString(16).padStart(4, '0')
/** JSON has no number for these, so they are texts (F.2.3). */
const finite = (value: number) =>
  Number.isNaN(value) ? 'NaN' : value === Infinity ? 'inf' : value === -Infinity ? '-inf' : value
const safe = (value: bigint) => {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : String(value)
}

/** @param bytes of the value, padding and all */
export function valuesOf(vr: string, bytes: Uint8Array, context: ValueContext, decode: DecodeText): DicomElement {
  if (bytes.length === 0) return { vr }
  const number = numbers[vr]
  if (number !== undefined) return withValues(vr, numbersOf(bytes, number, context.little))
  if (vr === 'IS' || vr === 'DS') return withValues(vr, ascii(bytes).split('\\').map(decimal))
  if (!texts.has(vr)) return { vr, InlineBinary: inLittleEndian(bytes, vr, context.little).toString('base64') }
  const text = (inCharacterSet.has(vr) ? decode(bytes, vr === 'PN' ? 'PN' : 'LO') : ascii(bytes)).replace(/[\0 ]+$/, '')
  if (single.has(vr)) return withValues(vr, [text === '' ? null : text])
  const parts = text.split('\\').map(part => part.replace(/[\0 ]+$/, ''))
  return withValues(vr, vr === 'PN' ? parts.map(nameOf) : parts.map(part => (part === '' ? null : part)))
}

const nameOf = (text: string): DicomValue => (text === '' ? null : personName(text))

function withValues(vr: string, values: DicomValue[]): DicomElement {
  return values.every(value => value === null) ? { vr } : { vr, Value: values }
}

function numbersOf(bytes: Uint8Array, { size, read }: { size: number; read: ReadNumber }, little: boolean) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Array.from({ length: Math.floor(bytes.length / size) }, (_, index) => read(view, index * size, little))
}

const ascii = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1')

/** A number; as text where it is none, so that nothing is made up (F.2.3 allows a String for DS and IS). */
function decimal(part: string): DicomValue {
  const text = part.replaceAll('\0', '').trim()
  if (text === '') return null
  const number = Number(text)
  return Number.isFinite(number) ? number : text
}

/** Bulk data are little endian, whatever they are stored in (PS3.18 F.2.7, 8.7.3). @returns a copy where words are swapped */
export function inLittleEndian(bytes: Uint8Array, vr: string, little: boolean): Buffer {
  const plain = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const size = wordSize(vr)
  if (little || size === 1 || plain.length % size !== 0) return plain
  const copy = Buffer.from(plain)
  return size === 2 ? copy.swap16() : size === 4 ? copy.swap32() : copy.swap64()
}

/** Bytes of one word of a binary VR. */
export function wordSize(vr: string): 1 | 2 | 4 | 8 {
  if (vr === 'OW') return 2
  if (vr === 'OF' || vr === 'OL') return 4
  return vr === 'OD' || vr === 'OV' ? 8 : 1
}
