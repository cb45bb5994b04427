/** What some bytes are, by how they begin. */
import { explicitBig, explicitLittle, implicitLittle } from './syntaxes.ts'

export type Kind = 'dicom' | 'png' | 'jpeg' | 'tiff'

const starts = (bytes: Uint8Array, ...magic: number[]) => magic.every((byte, i) => bytes[i] === byte)

/** @returns undefined when it is nothing that Raylog reads */
export function sniff(bytes: Uint8Array): Kind | undefined {
  if (starts(bytes, 0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)) return 'png'
  if (starts(bytes, 0xff, 0xd8, 0xff)) return 'jpeg'
  if (prefixAt(bytes) !== undefined) return 'dicom' // before TIFF: a preamble may hold a TIFF header (PS3.10 7.1)
  if (starts(bytes, 0x49, 0x49, 0x2a, 0x00) || starts(bytes, 0x4d, 0x4d, 0x00, 0x2a)) return 'tiff'
  if (starts(bytes, 0x02, 0x00) || guessSyntax(bytes, 0) !== undefined) return metaOrData(bytes) ? 'dicom' : undefined
  return undefined
}

/** Where the file meta information begins: after "DICM", with or without the 128 bytes of preamble. */
export function prefixAt(bytes: Uint8Array): number | undefined {
  const isPrefix = (at: number) =>
    bytes[at] === 0x44 && bytes[at + 1] === 0x49 && bytes[at + 2] === 0x43 && bytes[at + 3] === 0x4d
  if (isPrefix(128)) return 132
  return isPrefix(0) ? 4 : undefined
}

const vrs = new Set(
  'AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV'.split(' '),
)

export const isVr = (vr: string): boolean => vrs.has(vr)

const metaOrData = (bytes: Uint8Array) => bytes[0] !== 0x02 || vrs.has(vrAt(bytes, 4))

const vrAt = (bytes: Uint8Array, at: number) => String.fromCharCode(bytes[at] ?? 0, bytes[at + 1] ?? 0)

/**
 * The transfer syntax of a data set that does not say, from its first element, which must be of group 0008: explicit
 * where a VR stands after the tag, implicit where a length that fits does. Compressed pixels cannot be guessed.
 */
export function guessSyntax(bytes: Uint8Array, at: number): string | undefined {
  if (bytes.length < at + 8) return undefined
  const explicit = vrs.has(vrAt(bytes, at + 4))
  if (bytes[at] === 0x00 && bytes[at + 1] === 0x08 && explicit) return explicitBig
  if (bytes[at] !== 0x08 || bytes[at + 1] !== 0x00 || (bytes[at + 3] ?? 255) > 0x12) return undefined
  if (explicit) return explicitLittle
  const length = new DataView(bytes.buffer, bytes.byteOffset + at + 4, 4).getUint32(0, true)
  return length <= 1024 && at + 8 + length <= bytes.length ? implicitLittle : undefined
}

/**
 * By the transfer syntax, unless the first element says the contrary and makes sense that way: compressed images whose data
 * set is in implicit VR, and the other way round, are in archives, and readers take them.
 */
export function hasVrs(bytes: Uint8Array, start: number, transferSyntax: string): boolean {
  const stated = transferSyntax !== implicitLittle
  if (start + 8 > bytes.length || transferSyntax === explicitBig) return stated
  const seen = isVr(vrAt(bytes, start + 4))
  if (seen === stated) return stated
  // As a length of a first element these letters would be 16 KiB and more: no such element is in any data set.
  if (seen) return true
  const length = new DataView(bytes.buffer, bytes.byteOffset + start + 4, 4).getUint32(0, true)
  return length > bytes.length - start - 8
}
