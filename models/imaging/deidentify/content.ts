/** Structured content (PS3.3 C.17.3): what of it may stay, and what a sequence holds that must stay and may say nothing. */
import { type Encoding, elementAt, hex, type Item, type Source } from '../dicom/elements.ts'
import type { Action } from './table.ts'

/** Enumerated in the standard: without them a content item is none. */
const enumerated = new Set(['0040a040', '0040a010', '0040a050', '00700023', '0040a130'])

/** @returns what becomes of an element within a sequence that may say nothing */
export function dummyAction(tag: string): Action {
  return enumerated.has(tag) ? 'keep' : 'dummy'
}

/** Value types without words: what a measurement, a code, a reference or a place in an image says is kept. */
const wordless = new Set([
  'CODE',
  'COMPOSITE',
  'CONTAINER',
  'IMAGE',
  'NUM',
  'SCOORD',
  'SCOORD3D',
  'TCOORD',
  'UIDREF',
  'WAVEFORM',
])

/** Clean Structured Content (PS3.15 E.3.3) by removal: items that hold text, names, dates or times go, with all below them. */
export function contentItems(source: Source, items: readonly Item[], encoding: Encoding): Item[] {
  return items.filter(item => {
    for (let at = item.from; at < item.to; ) {
      const piece = elementAt(source, at, item.to, encoding)
      if (hex(piece.tag) === '0040a040')
        return wordless.has(Buffer.from(source.bytes.subarray(piece.from, piece.to)).toString('latin1').trim())
      at = piece.end
    }
    return false
  })
}
