/** DICOM objects of ours as files: data sets by keyword, text in UTF-8, written by dcmjs. */
import dcmjs from 'dcmjs'
import { type DicomAttributes, type DicomValue, isPersonName, type PersonName } from '../../../schemas/dicom-json.ts'
import { implementation } from '../../../schemas/implementation.ts'

const { DicomDict, DicomMetaDictionary } = dcmjs.data

export type Value = string | number | PersonName | Uint8Array | DataSet
/** By keyword of PS3.6. An empty list is an element without a value (type 2), undefined none at all. */
export interface DataSet {
  [keyword: string]: Value | readonly Value[] | undefined
}

export const explicitLittle = '1.2.840.10008.1.2.1'

/** Where the dictionary leaves the VR to the Pixel Representation, or Bits Allocated: as we write them. */
const ambiguous: Readonly<Record<string, string>> = { ox: 'OB', xs: 'US' }

interface Encoded {
  vr: string
  Value: unknown[]
}
type Elements = Record<string, Encoded>

/**
 * A Part 10 file (PS3.10 7) in explicit VR little endian. The same data set gives the same bytes.
 * @param copied elements of another object, as they are; ours stand above them
 */
export function toFile(dataSet: DataSet, copied: DicomAttributes = {}): Buffer {
  const { SOPClassUID: sopClass, SOPInstanceUID: sopInstance } = dataSet
  if (typeof sopClass !== 'string' || typeof sopInstance !== 'string') throw new TypeError('an object has both UIDs')
  const file = new DicomDict(
    elementsOf({
      FileMetaInformationVersion: new Uint8Array([0, 1]),
      MediaStorageSOPClassUID: sopClass,
      MediaStorageSOPInstanceUID: sopInstance,
      TransferSyntaxUID: explicitLittle,
      ImplementationClassUID: implementation.classUid,
      ImplementationVersionName: implementation.version,
    }),
  )
  file.dict = { ...copiedElements(copied), ...elementsOf({ SpecificCharacterSet: 'ISO_IR 192', ...dataSet }) }
  // What was copied may break a length of its VR: it is as the source has it.
  return Buffer.from(file.write({ allowInvalidVRLength: true }))
}

/** Those that were written before: a report has the same few thousands of times. */
const known = new Map<string, { tag: string; vr: string }>()

function entryOf(keyword: string): { tag: string; vr: string } {
  const before = known.get(keyword)
  if (before) return before
  const entry = DicomMetaDictionary.nameMap[keyword]
  if (!entry) throw new TypeError(`${keyword} is no keyword of PS3.6`)
  const made = { tag: entry.tag.replace(/[(),]/g, '').toUpperCase(), vr: ambiguous[entry.vr] ?? entry.vr }
  known.set(keyword, made)
  return made
}

function elementsOf(dataSet: DataSet): Elements {
  const elements: Elements = {}
  for (const [keyword, given] of Object.entries(dataSet)) {
    if (given === undefined) continue
    const { tag, vr } = entryOf(keyword)
    const values: readonly Value[] = isList(given) ? given : [given]
    elements[tag] = {
      vr,
      Value: values.map(value => encoded(vr, value)),
    }
  }
  return elements
}

const isList = (given: Value | readonly Value[]): given is readonly Value[] => Array.isArray(given)

function encoded(vr: string, value: Value): unknown {
  if (value instanceof Uint8Array) return value.buffer.slice(value.byteOffset, value.byteOffset + value.byteLength)
  if (typeof value === 'number') return vr === 'DS' ? decimal(value) : vr === 'IS' ? String(Math.round(value)) : value
  if (typeof value === 'string')
    return vr === 'PN' ? personName(value) : vr === 'AT' ? Number.parseInt(value, 16) : value
  return vr === 'PN' ? value : elementsOf(value as DataSet)
}

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
function copiedElements(attributes: DicomAttributes): Elements {
  return Object.fromEntries(
    Object.entries(attributes).flatMap(([tag, { vr, Value: values = [], BulkDataURI, InlineBinary }]) => {
      if (BulkDataURI !== undefined || InlineBinary !== undefined || vr === 'UN') return []
      return [[tag, { vr, Value: values.map(value => copiedValue(vr, value)) }]]
    }),
  )
}

function copiedValue(vr: string, value: DicomValue): unknown {
  if (value === null) return ''
  if (typeof value === 'number') return vr === 'DS' ? decimal(value) : vr === 'IS' ? String(value) : value
  if (vr === 'AT') return Number.parseInt(String(value), 16)
  if (typeof value === 'string' || isPersonName(value)) return value
  return copiedElements(value)
}
