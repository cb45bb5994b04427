/** Small data sets: identifiers of queries, lists of references. Read with dicom-parser, written from the DICOM JSON model. */
import dicomParser, { type DataSet, type Element } from 'dicom-parser'
import { textOf } from '../models/imaging/dicom/text.ts'
import { type DicomAttributes, type DicomElement, type DicomValue, isPersonName } from '../schemas/dicom-json.ts'
import { RaylogError } from '../schemas/errors.ts'
import { filePrefix } from './part10.ts'

export const implicitLittle = '1.2.840.10008.1.2'
export const explicitLittle = '1.2.840.10008.1.2.1'

/** Elements by tag: eight upper-case hexadecimal digits. */
export interface Elements {
  readonly tags: readonly string[]
  /** Values with backslashes between, in Unicode; empty where there is none; undefined where there is no such element. */
  text(tag: string, vr: string): string | undefined
  /** Items of a sequence. */
  items(tag: string): readonly Elements[]
}

/** Character sets other than ASCII can stand in these alone (PS3.5 6.1.2.2). */
const textVrs = new Set(['LO', 'LT', 'PN', 'SH', 'ST', 'UC', 'UT'])

/** @throws RaylogError malformed-dicom */
export function readElements(bytes: Buffer, transferSyntax: string): Elements {
  try {
    return elementsOf(dicomParser.parseDicom(Buffer.concat([filePrefix('1.2', '1.2', transferSyntax), bytes])))
  } catch (cause) {
    throw new RaylogError('malformed-dicom', 'the data set cannot be parsed', { cause })
  }
}

function elementsOf(data: DataSet): Elements {
  for (const { tag, dataOffset, length } of Object.values(data.elements))
    if (dataOffset + length > data.byteArray.length) throw new Error(`${tag} is longer than what there is`)
  const text = textOf(data)
  const key = (tag: string) => `x${tag.toLowerCase()}`
  return {
    tags: Object.keys(data.elements)
      .map(tag => tag.slice(1).toUpperCase())
      // Group lengths and file meta say nothing of what is asked.
      .filter(tag => !tag.endsWith('0000') && !tag.startsWith('0002')),
    text(tag, vr) {
      if (data.elements[key(tag)] === undefined) return undefined
      if (vr === 'US') return String(data.uint16(key(tag)) ?? '')
      if (textVrs.has(vr)) return text(key(tag), vr === 'PN' ? 'PN' : 'LO') ?? ''
      return (data.string(key(tag)) ?? '').replace(/[\0 ]+$/, '')
    },
    items(tag) {
      const element: Element | undefined = data.elements[key(tag)]
      return (element?.items ?? []).flatMap(({ dataSet }) => (dataSet ? [elementsOf(dataSet)] : []))
    },
  }
}

/** VRs with 4 bytes of length after 2 that are reserved (PS3.5 7.1.2). */
const longVrs = new Set(['OB', 'OD', 'OF', 'OL', 'OV', 'OW', 'SQ', 'SV', 'UC', 'UN', 'UR', 'UT', 'UV'])

/**
 * @param transferSyntax implicit or explicit VR little endian
 * @returns the elements in the order of their tags; texts in UTF-8, so (0008,0005) must say ISO_IR 192 where they need it
 */
export function writeElements(attributes: DicomAttributes, transferSyntax: string): Buffer {
  const explicit = transferSyntax !== implicitLittle
  const sorted = Object.entries(attributes).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return Buffer.concat(
    sorted.map(([tag, element]) => {
      const value = bytesOf(element, transferSyntax)
      return Buffer.concat([header(tag, element.vr, value.length, explicit), value])
    }),
  )
}

function header(tag: string, vr: string, length: number, explicit: boolean): Buffer {
  const long = explicit && longVrs.has(vr)
  const bytes = Buffer.alloc(long ? 12 : 8)
  bytes.writeUInt16LE(Number.parseInt(tag.slice(0, 4), 16), 0)
  bytes.writeUInt16LE(Number.parseInt(tag.slice(4), 16), 2)
  if (explicit) bytes.write(vr, 4, 'latin1')
  if (!explicit) bytes.writeUInt32LE(length, 4)
  else if (long) bytes.writeUInt32LE(length, 8)
  // A value longer than its VR can say does not come out of our index, whose texts are short.
  else bytes.writeUInt16LE(Math.min(length, 0xfffe), 6)
  return bytes
}

function bytesOf({ vr, Value = [] }: DicomElement, transferSyntax: string): Buffer {
  if (vr === 'SQ') return Buffer.concat(Value.map(item => itemOf(item, transferSyntax)))
  if (vr === 'US' || vr === 'UL') {
    const size = vr === 'US' ? 2 : 4
    const bytes = Buffer.alloc(Value.length * size)
    for (const [i, value] of Value.entries()) bytes.writeUIntLE(Number(value) || 0, i * size, size)
    return bytes
  }
  const text = Buffer.from(Value.map(value => textOfValue(value, vr)).join('\\'), 'utf8')
  const most = longVrs.has(vr) ? text.length : 0xfffe
  const value = text.subarray(0, most)
  return value.length % 2 === 0 ? value : Buffer.concat([value, Buffer.from(vr === 'UI' ? '\0' : ' ')])
}

function itemOf(item: DicomValue, transferSyntax: string): Buffer {
  const isItem = typeof item === 'object' && item !== null && !isPersonName(item)
  const value = isItem ? writeElements(item, transferSyntax) : Buffer.alloc(0)
  const head = Buffer.from([0xfe, 0xff, 0x00, 0xe0, 0, 0, 0, 0])
  head.writeUInt32LE(value.length, 4)
  return Buffer.concat([head, value])
}

function textOfValue(value: DicomValue, vr: string): string {
  if (value === null) return ''
  if (typeof value === 'object')
    return isPersonName(value)
      ? [value.Alphabetic, value.Ideographic, value.Phonetic]
          .map(group => group ?? '')
          .join('=')
          .replace(/=+$/, '')
      : ''
  // A decimal string has 16 characters at most (PS3.5 6.2).
  if (vr === 'DS' && typeof value === 'number')
    return String(value).length <= 16 ? String(value) : String(Number(value.toPrecision(10)))
  return String(value)
}
