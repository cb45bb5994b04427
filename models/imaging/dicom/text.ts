/** Text of a data set in its Specific Character Set (PS3.3 C.12.1.1.2, PS3.5 6.1). */
import { convertBytes } from 'dicom-character-set'
import type { DataSet } from 'dicom-parser'

/** Names that devices write for what the standard calls otherwise. */
const misspelt: Readonly<Record<string, string>> = {
  ISO_IR_100: 'ISO_IR 100',
  'ISO-IR 100': 'ISO_IR 100',
  'ISO IR 100': 'ISO_IR 100',
  'ISO8859-1': 'ISO_IR 100',
  'ISO-8859-1': 'ISO_IR 100',
  'UTF-8': 'ISO_IR 192',
  UTF8: 'ISO_IR 192',
  ISO_IR_192: 'ISO_IR 192',
  'ISO IR 192': 'ISO_IR 192',
}

/** Sets in which the bytes of ASCII mean ASCII: by far the most texts need no table of characters. */
const plainInAscii = new Set(['ISO_IR 6', 'ISO_IR 100', 'ISO_IR 192'])
/** Latin-9, which the library does not know. */
const latin9 = new Set(['ISO_IR 203', 'ISO 2022 IR 203'])
/** Text of a value's bytes, padding and all. */
export type DecodeText = (bytes: Uint8Array, vr: 'PN' | 'LO') => string

/** @param charset Specific Character Set, several with backslashes between; undefined: none was given */
export function textDecoder(charset: string | undefined): DecodeText {
  const named = charset
    ?.split('\\')
    .map(name => misspelt[name.trim().toUpperCase()] ?? name)
    .join('\\')
  return (bytes, vr) => decode(named, Uint8Array.from(bytes), vr)
}

export type TextReader = (tag: string, vr: 'PN' | 'LO') => string | null

/**
 * @returns a function that gives an element's text without padding, or null where it is absent or empty. Bytes that the
 *   declared character set cannot explain are read as UTF-8, or else as Latin-1: a name is shown as well as can be, never
 *   refused.
 */
export function textOf(data: DataSet): TextReader {
  const decoded = textDecoder(data.string('x00080005'))
  return (tag, vr) => {
    const element = data.elements[tag]
    if (element === undefined || element.length === 0) return null
    const from = element.dataOffset
    const bytes = data.byteArray.subarray(from, from + Math.min(element.length, 4096))
    const text = decoded(bytes, vr)
      .replace(/[\0 ]+$/, '')
      .trimStart()
    return text === '' ? null : text
  }
}

function decode(charset: string | undefined, bytes: Uint8Array, vr: string): string {
  const ascii = bytes.every(byte => byte < 0x80 && byte !== 0x1b)
  if (ascii && (charset === undefined || plainInAscii.has(charset))) return Buffer.from(bytes).toString('latin1')
  // Japanese sets differ from ASCII in two characters, so even plain bytes go through them.
  if (charset === undefined && !ascii) return utf8OrLatin(bytes)
  if (charset !== undefined && latin9.has(charset)) return new TextDecoder('iso-8859-15').decode(bytes)
  try {
    const text = convertBytes(charset, bytes, { vr })
    return text.includes('\ufffd') ? utf8OrLatin(bytes) : text
  } catch {
    return utf8OrLatin(bytes) // an unknown set or escape sequence
  }
}

function utf8OrLatin(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return Buffer.from(bytes).toString('latin1')
  }
}
