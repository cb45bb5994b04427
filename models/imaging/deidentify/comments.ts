/**
 * Text in compressed frames: comments and application segments (Exif, XMP) of JPEG and JPEG-LS, comments of JPEG 2000 and the
 * boxes around it, and what follows the end of an image. It is written over in place, so that no length and no offset changes,
 * and no pixel.
 */
import { type Fragment, joined } from '../dicom/fragments.ts'

const space = 0x20

/**
 * @param frames the fragments of each frame: what is looked for may be cut in two between them
 * @returns how many texts were written over in `bytes`
 */
export function blankComments(bytes: Uint8Array, frames: readonly Fragment[][]): number {
  let count = 0
  for (const fragments of frames) {
    const whole = joined(bytes, fragments)
    const found = inFrame(whole, fragments)
    count += found
    if (found === 0 || fragments.length === 1) continue
    let at = 0
    for (const { start, length } of fragments) {
      bytes.set(whole.subarray(at, at + length), start)
      at += length
    }
  }
  return count
}

/** One image, mostly; where the frames were counted wrong, each that begins with a fragment is one. */
function inFrame(whole: Uint8Array, fragments: readonly Fragment[]): number {
  let count = 0
  let over: number | undefined
  let at = 0
  const images = fragments.map(({ length }) => {
    at += length
    return at - length
  })
  for (const start of images) {
    if (start < (over ?? 0)) continue
    const look = lookFor(whole, start)
    if (look === undefined) continue
    if (over !== undefined) count += blank(whole, over, start, 0)
    const found = look(whole, start)
    count += found.count
    over = found.end
  }
  return over === undefined ? count : count + blank(whole, over, whole.length, 0)
}

interface Found {
  count: number
  /** Where the image is over; what is not understood is taken to go to the end. */
  end: number
}

function lookFor(bytes: Uint8Array, at: number): ((bytes: Uint8Array, start: number) => Found) | undefined {
  if (word(bytes, at) === 0xffd8) return inJpeg
  if (word(bytes, at) === 0xff4f) return inJ2k
  return name(bytes, at + 4, 4) === 'jP  ' ? inBoxes : undefined
}

/** Those that say how to decode stay, as far as they do: JFIF, the colour transforms of JPEG-LS (APP8) and of Adobe (APP14). */
const decoding: Readonly<Record<number, { identifier: string; length: number }>> = {
  224: { identifier: 'JFIF\0', length: 14 },
  232: { identifier: 'mrfx', length: 5 },
  238: { identifier: 'Adobe', length: 12 },
}

/** ITU-T T.81 B.1.1, T.87 C.1.1: between scans too. Within one, FF is followed by what is no marker. */
function inJpeg(bytes: Uint8Array, start: number): Found {
  let count = 0
  for (let at = start + 2; at + 2 <= bytes.length; ) {
    const marker = bytes[at + 1] ?? 0
    if (bytes[at] !== 0xff || marker < 0xc0 || marker === 0xff || (marker >= 0xd0 && marker <= 0xd8)) {
      at = next(bytes, at + 1)
      continue
    }
    if (marker === 0xd9) return { count, end: at + 2 }
    const end = at + 2 + word(bytes, at + 2)
    if (marker === 0xfe || (marker >= 0xe0 && marker <= 0xef)) {
      const known = decoding[marker]
      const stays = known !== undefined && name(bytes, at + 4, known.identifier.length) === known.identifier
      count += blank(bytes, at + 4 + (stays ? known.length : 0), end, stays ? 0 : space)
    }
    at = Math.max(at + 4, end)
  }
  return { count, end: bytes.length }
}

/** T.800 A.3: the main header, and that of each tile part. */
function inJ2k(bytes: Uint8Array, start: number): Found {
  let count = 0
  let tile: number | undefined
  for (let at = start + 2; at + 2 <= bytes.length; ) {
    const marker = word(bytes, at)
    if (marker === 0xff90) tile = at
    if (marker === 0xff93) {
      at = tilePartAfter(bytes, at + 2, tile)
      continue
    }
    if (marker === 0xffd9) return { count, end: at + 2 }
    if (marker < 0xff00) break
    const end = at + 2 + word(bytes, at + 2)
    if (marker === 0xff64) count += blank(bytes, at + 6, end)
    at = Math.max(at + 4, end)
  }
  return { count, end: bytes.length }
}

/** By the length that the tile part says, where it is right; the last may say none. Compressed data hold no FF90 and no FFD9. */
function tilePartAfter(bytes: Uint8Array, from: number, tile: number | undefined): number {
  const said = tile === undefined ? 0 : tile + word(bytes, tile + 6) * 65_536 + word(bytes, tile + 8)
  const isRight = (at: number) => word(bytes, at) === 0xff90 || word(bytes, at) === 0xffd9
  if (said >= from && isRight(said)) return said
  let at = next(bytes, from)
  // Start of packet (FF91) has a number, which may be anything.
  while (at < bytes.length && !isRight(at)) at = next(bytes, at + (bytes[at + 1] === 0x91 ? 6 : 1))
  return at
}

/** T.800 I.4: the boxes that a JP2 file needs, and the image in one of them. */
const boxesThatStay = new Set(['jP  ', 'ftyp', 'jp2h'])

function inBoxes(bytes: Uint8Array, start: number): Found {
  let count = 0
  let at = start
  while (at + 8 <= bytes.length) {
    const [length, kind] = [word(bytes, at) * 65_536 + word(bytes, at + 2), name(bytes, at + 4, 4)]
    if (kind === 'jp2c') {
      const found = inJ2k(bytes, at + (length === 1 ? 16 : 8))
      return { count: count + found.count, end: found.end }
    }
    if (length < 8) break
    if (!boxesThatStay.has(kind)) count += blank(bytes, at + 8, at + length)
    at += length
  }
  return { count, end: bytes.length }
}

const word = (bytes: Uint8Array, at: number) => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
const name = (bytes: Uint8Array, at: number, length: number) => String.fromCharCode(...bytes.subarray(at, at + length))

const next = (bytes: Uint8Array, from: number) => {
  const found = bytes.indexOf(0xff, from)
  return found < 0 ? bytes.length : found
}

function blank(bytes: Uint8Array, from: number, to: number, by = space): number {
  const part = bytes.subarray(from, Math.max(from, to))
  if (part.every(value => value === by)) return 0
  part.fill(by)
  return 1
}
