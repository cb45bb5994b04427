/**
 * Preamble and File Meta Information (PS3.10 7.1) before a data set, as one that came by C-STORE. The same for every sender
 * and version of ours: the object's name is its digest, so an image that is sent again is the same object.
 */
import { implementation } from '../schemas/implementation.ts'
import { head, longVrs, padding } from './element.ts'

export { implementation } from '../schemas/implementation.ts'

const tagOf = (which: number) => `0002${which.toString(16).padStart(4, '0')}`
const element = (which: number, vr: string, value: Buffer) =>
  Buffer.concat([head(tagOf(which), vr, value.length), value])
function text(which: number, vr: 'UI' | 'SH', value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1')
  return element(which, vr, Buffer.concat([bytes, padding(bytes.length, vr === 'UI' ? '\0' : ' ')]))
}

/** 128 bytes of zeros, DICM and group 0002, explicit VR little endian. */
export function filePrefix(sopClass: string, sopInstance: string, transferSyntax: string): Buffer {
  const group = Buffer.concat([
    element(0x0001, 'OB', Buffer.from([0, 1])),
    text(0x0002, 'UI', sopClass),
    text(0x0003, 'UI', sopInstance),
    text(0x0010, 'UI', transferSyntax),
    text(0x0012, 'UI', implementation.classUid),
    text(0x0013, 'SH', implementation.version),
  ])
  const length = Buffer.alloc(4)
  length.writeUInt32LE(group.length)
  return Buffer.concat([Buffer.alloc(128), Buffer.from('DICM', 'latin1'), element(0x0000, 'UL', length), group])
}

export interface FileMeta {
  /** Empty where the group does not say. */
  sopClass: string
  sopInstance: string
  transferSyntax: string
  /** Where the data set begins, bytes. */
  dataAt: number
}

/** Bytes in which every file meta group that anybody writes ends. */
export const metaBytes = 65_536

/**
 * Reads File Meta Information: explicit VR little endian, whatever follows (PS3.10 7.1).
 * @param bytes the first bytes of a file, with or without preamble
 * @returns undefined where it has none: the data set begins at once, or it is no DICOM
 */
export function readFileMeta(bytes: Buffer): FileMeta | undefined {
  const prefix = [128, 0].find(at => bytes.toString('latin1', at, at + 4) === 'DICM')
  let at = prefix === undefined ? 0 : prefix + 4
  const found = new Map<number, Buffer>()
  let end = Number.POSITIVE_INFINITY
  while (at + 8 <= bytes.length && at < end && bytes.readUInt16LE(at) === 0x0002) {
    const isLong = longVrs.has(bytes.toString('latin1', at + 4, at + 6))
    if (isLong && at + 12 > bytes.length) break
    const value = at + (isLong ? 12 : 8)
    const next = value + (isLong ? bytes.readUInt32LE(at + 8) : bytes.readUInt16LE(at + 6))
    const which = bytes.readUInt16LE(at + 2)
    found.set(which, bytes.subarray(value, next))
    if (which === 0 && next - value === 4) end = next + bytes.readUInt32LE(value)
    at = next
  }
  if (found.size === 0) return undefined
  const text = (which: number) => (found.get(which) ?? Buffer.alloc(0)).toString('latin1').replace(/[\0 ]+$/, '')
  return { sopClass: text(0x0002), sopInstance: text(0x0003), transferSyntax: text(0x0010), dataAt: at }
}
