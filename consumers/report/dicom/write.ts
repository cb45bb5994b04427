/** DICOM objects of ours as files: data sets by keyword, text in UTF-8. */
import { explicitLittle } from '../../../dicom/data-set.ts'
import { filePrefix } from '../../../dicom/part10.ts'
import { type BulkValue, writeJson } from '../../../dicom/write-json.ts'
import {
  type DicomAttributes,
  type DicomElement,
  type DicomValue,
  isPersonName,
  type PersonName,
} from '../../../schemas/dicom-json.ts'
import { type Keyword, keywords } from './keywords.ts'

export type Value = string | number | PersonName | Uint8Array | DataSet
/** By keyword of PS3.6. An empty list is an element without a value (type 2), undefined none at all. */
export type DataSet = { readonly [K in Keyword]?: Value | readonly Value[] | undefined }

/**
 * A Part 10 file (PS3.10 7) in explicit VR little endian. The same data set gives the same bytes.
 * @param copied elements of another object, as they are; ours stand above them
 */
export function toFile(dataSet: DataSet, copied: DicomAttributes = {}): Buffer {
  const { SOPClassUID: sopClass, SOPInstanceUID: sopInstance } = dataSet
  if (typeof sopClass !== 'string' || typeof sopInstance !== 'string') throw new TypeError('an object has both UIDs')
  const bulk = new Map<string, BulkValue>()
  const elements = { ...copiedElements(copied), ...elementsOf(dataSet, bulk) }
  return Buffer.concat([
    filePrefix(sopClass, sopInstance, explicitLittle),
    writeJson(elements, uri => bulk.get(uri), Number.POSITIVE_INFINITY),
  ])
}

/** @param bulk takes what is binary, by an address that its element has */
function elementsOf(dataSet: DataSet, bulk: Map<string, BulkValue>): DicomAttributes {
  const elements: DicomAttributes = {}
  for (const [keyword, given] of Object.entries(dataSet) as [Keyword, DataSet[Keyword]][]) {
    if (given === undefined) continue
    const [tag, vr] = keywords[keyword]
    if (given instanceof Uint8Array) {
      bulk.set(tag, { parts: [Buffer.from(given.buffer, given.byteOffset, given.byteLength)], encapsulated: false })
      elements[tag] = { vr, BulkDataURI: tag }
      continue
    }
    const values: readonly Value[] = isList(given) ? given : [given]
    elements[tag] = { vr, Value: values.map(value => encoded(vr, value, bulk)) }
  }
  return elements
}

const isList = (given: Value | readonly Value[]): given is readonly Value[] => Array.isArray(given)

function encoded(vr: string, value: Value, bulk: Map<string, BulkValue>): DicomValue {
  if (typeof value === 'number') return numberOf(vr, value)
  if (typeof value === 'string') return vr === 'PN' ? personName(value) : value
  return vr === 'PN' ? (value as PersonName) : elementsOf(value as DataSet, bulk)
}

const numberOf = (vr: string, value: number): string | number =>
  vr === 'DS' ? decimal(value) : vr === 'IS' ? String(Math.round(value)) : value

/** A Decimal String: at most 16 characters (PS3.5 6.2, DS). */
function decimal(value: number): string {
  for (let digits = 16; digits > 0; digits--) {
    const text = String(Number(value.toPrecision(digits)))
    if (text.length <= 16) return text
  }
  return '0'
}

function personName(text: string): PersonName {
  const [Alphabetic = '', Ideographic = '', Phonetic = ''] = text.split('=')
  return { Alphabetic, ...(Ideographic && { Ideographic }), ...(Phonetic && { Phonetic }) }
}

/** Of the DICOM JSON Model; what is in it as binary, or only referred to, is left out. */
function copiedElements(attributes: DicomAttributes): DicomAttributes {
  return Object.fromEntries(
    Object.entries(attributes).flatMap(([tag, { vr, Value: values = [], BulkDataURI, InlineBinary }]) => {
      if (BulkDataURI !== undefined || InlineBinary !== undefined || vr === 'UN') return []
      return [[tag, { vr, Value: values.map(value => copiedValue(vr, value)) } satisfies DicomElement]]
    }),
  )
}

function copiedValue(vr: string, value: DicomValue): DicomValue {
  if (typeof value === 'number') return vr === 'IS' ? String(value) : numberOf(vr, value)
  if (value === null || typeof value === 'string' || isPersonName(value)) return value
  return copiedElements(value)
}
