/**
 * Text in compressed frames: comments and application segments (Exif, XMP) of JPEG and JPEG-LS, comments of JPEG 2000, the boxes
 * around it and around JPEG XL, and what follows the end of an image. It is written over in place, so that no length and no
 * offset changes, and no pixel.
 */
import { RaylogError } from '../../../schemas/errors.ts'
import { type Fragment, joined } from '../dicom/fragments.ts'

const space = 0x20

/**
 * @param frames the fragments of each frame: what is looked for may be cut in two between them
 * @returns how many texts were written over in `bytes`
 * @throws RaylogError not-deidentified
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
  for (const { start, limit } of imagesOf(whole, fragments)) {
    if (start < (over ?? 0)) continue
    const look = lookFor(whole, start)
    if (look === undefined) continue
    if (over !== undefined) count += blank(whole, over, start, 0)
    const found = look(whole.subarray(0, limit), start)
    count += found.count
    over = found.end
  }
  return over === undefined ? count : count + blank(whole, over, whole.length, 0)
}

/** Where an image may begin, and how far it goes at most: to the next one in boxes, whose first box cannot be mistaken. */
function imagesOf(whole: Uint8Array, fragments: readonly Fragment[]): { start: number; limit: number }[] {
  let limit = whole.length
  let start = whole.length
  const images = fragments.toReversed().map(({ length }) => {
    start -= length
    const image = { start, limit }
    if (signatures.has(name(whole, start, 12))) limit = start
    return image
  })
  return images.reverse()
}

interface Found {
  count: number
  /** Where the image is over; what is not understood is taken to go to the end. */
  end: number
}

function lookFor(bytes: Uint8Array, at: number): ((bytes: Uint8Array, start: number) => Found) | undefined {
  if (word(bytes, at) === 0xffd8) return inJpeg
  if (word(bytes, at) === 0xff4f) return inJ2k
  if (word(bytes, at) === 0xff0a) return inBareXl
  const kind = name(bytes, at + 4, 4)
  return kind === 'jP  ' || kind === 'JXL ' ? inBoxes : undefined
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
  const said = tile === undefined ? 0 : tile + double(bytes, tile + 6)
  const isRight = (at: number) => word(bytes, at) === 0xff90 || word(bytes, at) === 0xffd9
  if (said >= from && isRight(said)) return said
  let at = next(bytes, from)
  // Start of packet (FF91) has a number, which may be anything.
  while (at < bytes.length && !isRight(at)) at = next(bytes, at + (bytes[at + 1] === 0x91 ? 6 : 1))
  return at
}

/** Those that a JP2 file (T.800 I.4) and a JPEG XL container (ISO/IEC 18181-2) need, with the image in one or several of them. */
const boxesThatStay = new Set(['jP  ', 'ftyp', 'jp2h', 'JXL ', 'jxll', 'jxlc', 'jxlp'])
const ofImage = new Set(['jxlc', 'jxlp'])
/** The first box of such an image, the whole of it. */
const signatures = new Set(['jP  ', 'JXL '].map(kind => `\0\0\0\x0c${kind}\r\n\x87\n`))

/**
 * All other boxes become free space: what is in them may be compressed too (`brob`, and `jbrd`, out of which a JPEG is made
 * again, comments and all).
 * @throws RaylogError not-deidentified
 */
function inBoxes(bytes: Uint8Array, start: number): Found {
  let count = 0
  let hasImage = false
  let at = start
  while (at + 8 <= bytes.length) {
    const { kind, from, end } = boxAt(bytes, at)
    if (kind === 'jp2c') {
      const found = inJ2k(bytes, from)
      return { count: count + found.count, end: found.end }
    }
    const stays = boxesThatStay.has(kind)
    if (end < from || (end > bytes.length && !stays)) {
      if (hasImage) return { count, end: at }
      throw new RaylogError('not-deidentified', 'the boxes around compressed pixels cannot be told apart')
    }
    hasImage ||= ofImage.has(kind)
    if (!stays && blank(bytes, from, end, 0) > 0) {
      bytes.set(Buffer.from('free'), at + 4)
      count++
    }
    at = end
  }
  return { count, end: Math.min(at, bytes.length) }
}

/** T.800 I.4: a length of 1 is followed by the one that is meant, in 64 bits, and one of 0 goes to the end. */
function boxAt(bytes: Uint8Array, at: number): { kind: string; from: number; end: number } {
  const said = double(bytes, at)
  const kind = name(bytes, at + 4, 4)
  if (said === 1) return { kind, from: at + 16, end: at + double(bytes, at + 8) * 2 ** 32 + double(bytes, at + 12) }
  return { kind, from: at + 8, end: said === 0 ? bytes.length : at + said }
}

/** A bare codestream of JPEG XL has no place for comments; it says nowhere how long it is. */
const inBareXl = (bytes: Uint8Array): Found => ({ count: 0, end: bytes.length })

const word = (bytes: Uint8Array, at: number) => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
const double = (bytes: Uint8Array, at: number) => word(bytes, at) * 65_536 + word(bytes, at + 2)
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
