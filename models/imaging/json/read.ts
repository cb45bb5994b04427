/**
 * A data set as DICOM JSON (PS3.18 Annex F), from its bytes up to the pixels. What is long and binary is not taken along: it
 * gets a place among the bulk data, by path.
 */
import type { DicomAttributes, DicomElement } from '../../../schemas/dicom-json.ts'
import { RaylogError } from '../../../schemas/errors.ts'
import { longVrs } from '../dicom/skip.ts'
import { isVr } from '../dicom/sniff.ts'
import { type DecodeText, textDecoder } from '../dicom/text.ts'
import { vrOf } from './dictionary.ts'
import { type ValueContext, valuesOf } from './values.ts'

/** Where a value stands that an answer only refers to. */
export interface BulkPlace {
  vr: string
  /** First byte of the value, counted from the beginning of the bytes that were read. */
  start: number
  /** Undefined where the value is encapsulated: pixels in fragments. */
  length: number | undefined
}

export interface JsonOptions {
  explicit: boolean
  little: boolean
  /** Binary values up to this are given inline, bytes. */
  inlineBytes: number
}

export interface ReadJson {
  attributes: DicomAttributes
  /** By path: `7FE00010`, or `00400275/0/00091001` within a sequence's first item. */
  bulk: Map<string, BulkPlace>
  /** Where reading ended: at the pixels' value, or where the bytes do. */
  end: number
}

const undefinedLength = 0xffffffff
const maxDepth = 64
const maxElements = 500_000
const binary = new Set(['OB', 'OD', 'OF', 'OL', 'OV', 'OW', 'UN'])
const pixelTags = new Set(['7FE00008', '7FE00009', '7FE00010'])

interface Level extends ValueContext {
  decode: DecodeText
  signed: boolean
}

/** @throws RaylogError truncated where the bytes end within an element; malformed-dicom */
export function readJson(bytes: Uint8Array, start: number, options: JsonOptions): ReadJson {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const bulk = new Map<string, BulkPlace>()
  let count = 0
  let at = start

  interface Head {
    tag: string
    vr: string | undefined
    length: number
  }

  function head(explicit: boolean, little: boolean): Head {
    if (at + 8 > bytes.length) throw truncated(at)
    const group = view.getUint16(at, little)
    const element = view.getUint16(at + 2, little)
    const tag = (group.toString(16).padStart(4, '0') + element.toString(16).padStart(4, '0')).toUpperCase()
    if (!explicit || group === 0xfffe) {
      const length = view.getUint32(at + 4, little)
      at += 8
      return { tag, vr: undefined, length }
    }
    const vr = String.fromCharCode(bytes[at + 4] ?? 0, bytes[at + 5] ?? 0)
    if (!isVr(vr)) throw new RaylogError('malformed-dicom', `element ${tag} has no valid VR`)
    const long = longVrs.has(vr)
    if (long && at + 12 > bytes.length) throw truncated(at)
    const length = long ? view.getUint32(at + 8, little) : view.getUint16(at + 6, little)
    at += long ? 12 : 8
    return { tag, vr, length }
  }

  /** @param end of the item, or undefined where a delimiter ends it */
  function elements(level: Level, path: string, end: number | undefined, depth: number): DicomAttributes {
    if (depth > maxDepth) throw new RaylogError('malformed-dicom', `sequences nested deeper than ${maxDepth}`)
    const found: DicomAttributes = {}
    while (end === undefined || at < end) {
      if (depth === 0 && at >= bytes.length) break
      if (++count > maxElements) throw new RaylogError('malformed-dicom', `more than ${maxElements} elements`)
      const { tag, vr: said, length } = head(level.explicit, level.little)
      if (tag === 'FFFEE00D') break
      if (depth === 0 && pixelTags.has(tag)) {
        // Fragments are of OB, whatever the data set is in (PS3.5 A.4).
        const vr = said ?? (length === undefinedLength ? 'OB' : (vrOf(tag, level) ?? 'OW'))
        found[tag] = reference(path + tag, { vr, start: at, length: length === undefinedLength ? undefined : length })
        if (length === undefinedLength || at + length > bytes.length) break
        at += length
        continue
      }
      const element = one(level, path + tag, tag, said, length, depth)
      if (element !== undefined && !tag.endsWith('0000')) found[tag] = element
      learn(level, tag, element)
    }
    return found
  }

  function one(level: Level, path: string, tag: string, said: string | undefined, length: number, depth: number) {
    const known = said === undefined || said === 'UN' ? vrOf(tag, level) : said
    const vr = known ?? 'UN'
    // What is of unknown VR is implicit little endian within (PS3.5 6.2.2).
    const within = said === 'UN' ? { ...level, explicit: false, little: true } : level
    if (vr === 'SQ' || length === undefinedLength) return sequence(within, path, length, depth)
    const from = at
    if (binary.has(vr) && length > options.inlineBytes) {
      at += length
      if (at > bytes.length) throw truncated(from)
      return reference(path, { vr, start: from, length })
    }
    at += length
    if (at > bytes.length) throw truncated(from)
    return valuesOf(vr, bytes.subarray(from, at), within, level.decode)
  }

  function sequence(level: Level, path: string, length: number, depth: number): DicomElement {
    const end = length === undefinedLength ? undefined : at + length
    const items: DicomAttributes[] = []
    while (end === undefined || at < end) {
      const item = head(level.explicit, level.little)
      if (item.tag === 'FFFEE0DD') break
      if (item.tag !== 'FFFEE000')
        throw new RaylogError('malformed-dicom', 'something other than an item in a sequence')
      const itemEnd = item.length === undefinedLength ? undefined : at + item.length
      if (itemEnd !== undefined && itemEnd > bytes.length) throw truncated(at)
      items.push(elements({ ...level }, `${path}/${items.length}/`, itemEnd, depth + 1))
      if (++count > maxElements) throw new RaylogError('malformed-dicom', `more than ${maxElements} elements`)
    }
    return items.length > 0 ? { vr: 'SQ', Value: items } : { vr: 'SQ' }
  }

  function reference(path: string, place: BulkPlace): DicomElement {
    bulk.set(path, place)
    return { vr: place.vr, BulkDataURI: path }
  }

  const { explicit, little } = options
  const attributes = elements({ explicit, little, signed: false, decode: textDecoder(undefined) }, '', undefined, 0)
  return { attributes, bulk, end: at }
}

/** Character set and sign hold for what follows, and for the items within (PS3.3 C.12.1.1.2). */
function learn(level: Level, tag: string, element: DicomElement | undefined): void {
  if (tag === '00080005' && element !== undefined) {
    level.decode = textDecoder(element.Value?.map(value => (typeof value === 'string' ? value : '')).join('\\'))
    // JSON is UTF-8, whatever the file was (F.2).
    if (element.Value !== undefined) element.Value = ['ISO_IR 192']
  }
  if (tag === '00280103') level.signed = element?.Value?.[0] === 1
}

const truncated = (at: number) => new RaylogError('truncated', `the data end inside the element at byte ${at}`)
