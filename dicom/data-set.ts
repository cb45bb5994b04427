/** Small data sets: identifiers of queries, lists of references. Read with dicom-parser, written from the DICOM JSON model. */
import dicomParser, { type DataSet, type Element } from 'dicom-parser'
import { textOf } from '../models/imaging/dicom/text.ts'
import { type DicomAttributes, type DicomElement, type DicomValue, isPersonName } from '../schemas/dicom-json.ts'
import { RaylogError } from '../schemas/errors.ts'
import { head, itemTag, tagged, textBytes } from './element.ts'
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

/**
 * @param transferSyntax implicit or explicit VR little endian
 * @returns the elements in the order of their tags; texts in UTF-8, so (0008,0005) must say ISO_IR 192 where they need it
 */
export function writeElements(attributes: DicomAttributes, transferSyntax: string): Buffer {
  const sorted = Object.entries(attributes).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return Buffer.concat(
    sorted.flatMap(([tag, element]) => {
      const value = bytesOf(element, transferSyntax)
      const { length } = value
      return [transferSyntax === implicitLittle ? tagged(tag, length) : head(tag, element.vr, length), value]
    }),
  )
}

function bytesOf({ vr, Value = [] }: DicomElement, transferSyntax: string): Buffer {
  if (vr === 'SQ') return Buffer.concat(Value.map(item => itemOf(item, transferSyntax)))
  if (vr !== 'US' && vr !== 'UL') return textBytes(vr, Value)
  const size = vr === 'US' ? 2 : 4
  const bytes = Buffer.alloc(Value.length * size)
  for (const [i, value] of Value.entries()) bytes.writeUIntLE(Number(value) || 0, i * size, size)
  return bytes
}

function itemOf(item: DicomValue, transferSyntax: string): Buffer {
  const isItem = typeof item === 'object' && item !== null && !isPersonName(item)
  const value = isItem ? writeElements(item, transferSyntax) : Buffer.alloc(0)
  return Buffer.concat([tagged(itemTag, value.length), value])
}
