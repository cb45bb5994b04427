/** Where the elements of a data set stand in its bytes (PS3.5 7.1, 7.5), and the heads of those that are written anew. */
import { RaylogError } from '../../../schemas/errors.ts'
import { longVrs, skipUndefined } from './skip.ts'
import { isVr } from './sniff.ts'

export interface Encoding {
  explicit: boolean
  big: boolean
}

export interface Piece {
  /** Group and element, 32 bits. */
  tag: number
  /** Undefined in implicit VR. */
  vr: string | undefined
  start: number
  /** Of its value, the delimiter of an undefined length not counted. */
  from: number
  to: number
  /** Of the next element. */
  end: number
  undefinedLength: boolean
}

export const undefinedLength = 0xffffffff
export const itemTag = 0xfffee000
const itemEndTag = 0xfffee00d
const sequenceEndTag = 0xfffee0dd

export const hex = (tag: number): string => tag.toString(16).padStart(8, '0')

export function broken(why: string): RaylogError {
  return new RaylogError('malformed-dicom', why)
}

const cut = () => new RaylogError('truncated', 'the data set ends inside an element')

/** The bytes of a data set with a view on them. */
export interface Source {
  bytes: Uint8Array
  view: DataView
}

export function sourceOf(bytes: Uint8Array): Source {
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength) }
}

export function tagAt({ view }: Source, at: number, big: boolean): number {
  return ((view.getUint16(at, !big) << 16) | view.getUint16(at + 2, !big)) >>> 0
}

/** @throws RaylogError malformed-dicom, truncated */
export function elementAt(source: Source, at: number, limit: number, encoding: Encoding): Piece {
  const { bytes, view } = source
  const little = !encoding.big
  if (at + 8 > limit) throw cut()
  const tag = tagAt(source, at, encoding.big)
  let vr: string | undefined
  let from = at + 8
  let length = view.getUint32(at + 4, little)
  if (encoding.explicit && tag >>> 16 !== 0xfffe) {
    vr = String.fromCharCode(bytes[at + 4] ?? 0, bytes[at + 5] ?? 0)
    if (!isVr(vr)) throw broken(`element ${hex(tag)} has no valid VR`)
    if (longVrs.has(vr)) {
      if (at + 12 > limit) throw cut()
      length = view.getUint32(at + 8, little)
      from = at + 12
    } else length = view.getUint16(at + 6, little)
  }
  if (length !== undefinedLength) {
    const end = from + length
    if (end > limit) throw cut()
    return { tag, vr, start: at, from, to: end, end, undefinedLength: false }
  }
  const end = skipUndefined(bytes, from, vr, encoding.big)
  if (end === undefined || end > limit) throw cut()
  return { tag, vr, start: at, from, to: end - 8, end, undefinedLength: true }
}

export function* piecesIn(source: Source, from: number, to: number, encoding: Encoding): Generator<Piece> {
  for (let at = from; at < to; ) {
    const piece = elementAt(source, at, to, encoding)
    yield piece
    at = piece.end
  }
}

export interface Item {
  from: number
  to: number
  undefinedLength: boolean
}

/** The items of a sequence's value. @throws RaylogError malformed-dicom, truncated */
export function itemsOf(source: Source, from: number, to: number, encoding: Encoding): Item[] {
  const items: Item[] = []
  let at = from
  while (at < to) {
    if (at + 8 > to) throw cut()
    const tag = tagAt(source, at, encoding.big)
    if (tag === sequenceEndTag) break // some writers end sequences of a known length as well
    if (tag !== itemTag) throw broken('something other than an item in a sequence')
    const length = source.view.getUint32(at + 4, !encoding.big)
    if (length !== undefinedLength) {
      if (at + 8 + length > to) throw cut()
      items.push({ from: at + 8, to: at + 8 + length, undefinedLength: false })
      at += 8 + length
      continue
    }
    const end = itemEnd(source, at + 8, to, encoding)
    items.push({ from: at + 8, to: end, undefinedLength: true })
    at = end + 8
  }
  return items
}

function itemEnd(source: Source, from: number, limit: number, encoding: Encoding): number {
  let at = from
  while (at + 8 <= limit) {
    if (tagAt(source, at, encoding.big) === itemEndTag) return at
    at = elementAt(source, at, limit, encoding).end
  }
  throw cut()
}

/** Whether a value of unknown VR reads as the items of a sequence to its very end. */
export function looksLikeItems(source: Source, from: number, to: number, encoding: Encoding): boolean {
  if (to - from < 8 || tagAt(source, from, encoding.big) !== itemTag) return false
  try {
    const items = itemsOf(source, from, to, encoding)
    for (const item of items) for (let at = item.from; at < item.to; ) at = elementAt(source, at, item.to, encoding).end
    return true
  } catch (thrown) {
    if (thrown instanceof RaylogError) return false
    throw thrown
  }
}

/** Tag, VR and length. */
export function headOf(tag: number, vr: string, length: number, { explicit, big }: Encoding): Uint8Array {
  const plain = !explicit || tag >>> 16 === 0xfffe // items and delimiters have no VR
  const long = !plain && longVrs.has(vr)
  const head = Buffer.alloc(long ? 12 : 8)
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength)
  view.setUint16(0, tag >>> 16, !big)
  view.setUint16(2, tag & 0xffff, !big)
  if (plain) view.setUint32(4, length, !big)
  else {
    head.write(vr, 4, 'latin1')
    if (long) view.setUint32(8, length, !big)
    else view.setUint16(6, length, !big)
  }
  return head
}

/** The delimiter of an item or a sequence of undefined length. */
export function delimiter(of: 'item' | 'sequence', encoding: Encoding): Uint8Array {
  return headOf(of === 'item' ? itemEndTag : sequenceEndTag, 'UN', 0, encoding)
}

export const total = (chunks: readonly Uint8Array[]): number => chunks.reduce((sum, { length }) => sum + length, 0)
