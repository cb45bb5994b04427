/** A data set in another encoding: VRs put in or left out, bytes of numbers turned round (PS3.5 7.1, 7.3). Pixels apart. */
import { RaylogError } from '../../../schemas/errors.ts'
import {
  delimiter,
  type Encoding,
  elementAt,
  headOf,
  hex,
  itemsOf,
  itemTag,
  type Piece,
  piecesIn,
  type Source,
  sourceOf,
  total,
  undefinedLength,
} from '../dicom/elements.ts'
import { longVrs } from '../dicom/skip.ts'
import { vrOf } from '../json/dictionary.ts'

export interface Recoding {
  /** A data set up to its pixels, or what stands behind them. */
  bytes: Uint8Array
  start: number
  end: number
  from: Encoding
  to: Encoding
  /** Pixel Representation is 1: it decides between US and SS. */
  signed: boolean
  /** Elements that get other values (little endian), or none. */
  changes: readonly Change[]
}

export interface Change {
  tag: number
  /** Undefined: left out. */
  set?: { vr: string; value: Uint8Array }
}

/** Devices nest ten deep or so. */
const maxDepth = 64
const pixelData = 0x7fe00010
const iconImage = 0x00880200
const words: Readonly<Record<string, 2 | 4 | 8>> = {
  ...{ AT: 2, OW: 2, SS: 2, US: 2 },
  ...{ FL: 4, OF: 4, OL: 4, SL: 4, UL: 4 },
  ...{ FD: 8, OD: 8, OV: 8, SV: 8, UV: 8 },
}

/** Frames in fragments, which no uncompressed transfer syntax can hold. */
class Encapsulated extends Error {}

/** @throws RaylogError malformed-dicom, truncated */
export function recode({ bytes, start, end, from, to, signed, changes }: Recoding): Buffer {
  const source = sourceOf(bytes)
  const changed = new Map(changes.map(change => [change.tag, change]))
  const written = new Map<number, Uint8Array[]>()
  for (const piece of piecesIn(source, start, end, from)) {
    if (changed.has(piece.tag)) continue
    const chunks = topLevel({ source, to, signed }, piece, from)
    if (chunks.length > 0) written.set(piece.tag, chunks)
  }
  for (const { tag, set } of changes)
    if (set) written.set(tag, [headOf(tag, set.vr, set.value.length, to), inOrder(set.value, set.vr, to.big)])
  return Buffer.concat([...written].sort(([a], [b]) => a - b).flatMap(([, chunks]) => chunks))
}

interface Writing {
  source: Source
  to: Encoding
  signed: boolean
}

/** Pictures within sequences may be compressed as the pixels are: an icon that is goes, everything else is too odd. */
function topLevel(writing: Writing, piece: Piece, from: Encoding): Uint8Array[] {
  try {
    return element(writing, piece, from, 0)
  } catch (thrown) {
    if (thrown instanceof Encapsulated && piece.tag === iconImage) return []
    if (!(thrown instanceof Encapsulated)) throw thrown
    throw new RaylogError('decode-failed', `compressed pixels within the sequence ${hex(piece.tag)}`)
  }
}

function element(writing: Writing, piece: Piece, from: Encoding, depth: number): Uint8Array[] {
  const { source, to, signed } = writing
  if ((piece.tag & 0xffff) === 0) return [] // group lengths (retired) would be wrong from here on
  const vr = piece.vr ?? vrOf(hex(piece.tag).toUpperCase(), { signed }) ?? 'UN'
  const value = source.bytes.subarray(piece.from, piece.to)
  if (piece.undefinedLength || vr === 'SQ') {
    if (piece.tag === pixelData || binary(piece.vr)) throw new Encapsulated()
    return sequence(writing, piece, from, depth)
  }
  const shown = longVrs.has(vr) || value.length <= 0xfffe || !to.explicit ? vr : 'UN' // PS3.5 6.2.2, note 3
  return [headOf(piece.tag, shown, value.length, to), inOrder(value, vr, from.big !== to.big)]
}

const binary = (vr: string | undefined) => vr !== undefined && vr !== 'SQ' && vr !== 'UN'

function sequence(writing: Writing, piece: Piece, from: Encoding, depth: number): Uint8Array[] {
  if (depth >= maxDepth) throw new RaylogError('malformed-dicom', `sequences nested deeper than ${maxDepth}`)
  const { source, to } = writing
  // A sequence in UN is in implicit VR little endian (PS3.5 6.2.2, note 2).
  const inside: Encoding = piece.vr === 'UN' ? { explicit: false, big: false } : from
  const body: Uint8Array[] = []
  for (const item of itemsOf(source, piece.from, piece.to, inside)) {
    const chunks: Uint8Array[] = []
    for (const inner of piecesIn(source, item.from, item.to, inside))
      chunks.push(...element(writing, inner, inside, depth + 1))
    body.push(headOf(itemTag, 'UN', item.undefinedLength ? undefinedLength : total(chunks), to), ...chunks)
    if (item.undefinedLength) body.push(delimiter('item', to))
  }
  if (!piece.undefinedLength) return [headOf(piece.tag, 'SQ', total(body), to), ...body]
  return [headOf(piece.tag, 'SQ', undefinedLength, to), ...body, delimiter('sequence', to)]
}

function inOrder(value: Uint8Array, vr: string, turned: boolean): Uint8Array {
  const size = words[vr]
  return turned && size !== undefined ? swapped(value, size) : value
}

/** A copy; bytes at the end that make no whole word stay as they are. */
export function swapped(value: Uint8Array, size: 1 | 2 | 4 | 8): Uint8Array {
  if (size === 1) return value
  const copy = Buffer.from(value)
  const whole = copy.subarray(0, copy.length - (copy.length % size))
  if (size === 2) whole.swap16()
  else if (size === 4) whole.swap32()
  else whole.swap64()
  return copy
}

/** Where what stands behind the pixels ends, as far as it can be read: padding that is no element is left behind. */
export function tailEnd(bytes: Uint8Array, encoding: Encoding): number {
  const source = sourceOf(bytes)
  let at = 0
  try {
    while (at < bytes.length) {
      const piece = elementAt(source, at, bytes.length, encoding)
      at = piece.end
    }
  } catch (thrown) {
    if (!(thrown instanceof RaylogError)) throw thrown
  }
  return at
}
