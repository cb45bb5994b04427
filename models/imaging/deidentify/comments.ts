/**
 * Text in compressed frames: comments and application segments (Exif, XMP) of JPEG and JPEG-LS, comments of JPEG 2000. It is
 * written over in place, so that no length and no offset changes, and no pixel.
 */
import type { Fragment } from '../dicom/fragments.ts'

const space = 0x20

/** @returns how many texts were written over in `bytes` */
export function blankComments(bytes: Uint8Array, fragments: readonly Fragment[]): number {
  let count = 0
  for (const { start, length } of fragments) {
    const part = bytes.subarray(start, start + length)
    if (part[0] === 0xff && part[1] === 0xd8) count += inJpeg(part)
    if (part[0] === 0xff && part[1] === 0x4f) count += inJ2k(part)
  }
  return count
}

/** Those that say how to decode stay: JFIF, the colour transforms of JPEG-LS (APP8) and of Adobe (APP14). */
const decoding = new Set([0xe0, 0xe8, 0xee])

/** ITU-T T.81 B.1.1, T.87 C.1.1: between scans too. Within one, FF is followed by what is no marker. */
function inJpeg(part: Uint8Array): number {
  let count = 0
  for (let at = 2; at + 4 <= part.length; ) {
    const marker = part[at + 1] ?? 0
    if (part[at] !== 0xff || marker < 0xc0 || marker === 0xff || (marker >= 0xd0 && marker <= 0xd8)) {
      at = Math.max(at + 1, next(part, at + 1))
      continue
    }
    if (marker === 0xd9) return count
    const end = at + 2 + word(part, at + 2)
    const isText = marker === 0xfe || (marker >= 0xe0 && marker <= 0xef && !decoding.has(marker))
    if (isText) count += blank(part, at + 4, end)
    at = Math.max(at + 4, end)
  }
  return count
}

const next = (part: Uint8Array, from: number) => {
  const found = part.indexOf(0xff, from)
  return found < 0 ? part.length : found
}

/** T.800 A.3: the main header, and that of each tile part. */
function inJ2k(part: Uint8Array): number {
  let count = 0
  let tile = 0
  for (let at = 2; at + 4 <= part.length; ) {
    const marker = word(part, at)
    if (marker === 0xff90) tile = at
    if (marker === 0xff93) {
      const length = word(part, tile + 6) * 65_536 + word(part, tile + 8)
      if (tile === 0 || length < 14) return count // to the end
      at = tile + length
      continue
    }
    if (marker < 0xff00 || marker === 0xffd9) return count
    const end = at + 2 + word(part, at + 2)
    if (marker === 0xff64) count += blank(part, at + 6, end)
    at = Math.max(at + 4, end)
  }
  return count
}

const word = (part: Uint8Array, at: number) => ((part[at] ?? 0) << 8) | (part[at + 1] ?? 0)

function blank(part: Uint8Array, from: number, to: number): number {
  if (to <= from) return 0
  part.fill(space, from, to)
  return 1
}
