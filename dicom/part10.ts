/**
 * Preamble and File Meta Information (PS3.10 7.1) before a data set, as one that came by C-STORE. The same for every sender
 * and version of ours: the object's name is its digest, so an image that is sent again is the same object.
 */
import { implementation } from '../schemas/implementation.ts'

export { implementation } from '../schemas/implementation.ts'

function element(which: number, vr: string, value: Buffer): Buffer {
  const long = vr === 'OB'
  const header = Buffer.alloc(long ? 12 : 8)
  header.writeUInt16LE(0x0002, 0)
  header.writeUInt16LE(which, 2)
  header.write(vr, 4, 'latin1')
  if (long) header.writeUInt32LE(value.length, 8)
  else header.writeUInt16LE(value.length, 6)
  return Buffer.concat([header, value])
}

function text(which: number, vr: string, value: string): Buffer {
  const pad = vr === 'UI' ? '\0' : ' '
  return element(which, vr, Buffer.from(value.length % 2 ? value + pad : value, 'latin1'))
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

/** VRs with 4 bytes of length in group 0002, or in what somebody put there (PS3.5 7.1.2). */
const longVrs = new Set(['OB', 'OW', 'UN', 'UT', 'SQ'])
/** Bytes in which every file meta group that anybody writes ends. */
export const metaBytes = 65_536

/**
 * Reads File Meta Information: explicit VR little endian, whatever follows (PS3.10 7.1).
 * @param head first bytes of a file, with or without preamble
 * @returns undefined where it has none: the data set begins at once, or it is no DICOM
 */
export function readFileMeta(head: Buffer): FileMeta | undefined {
  const prefix = [128, 0].find(at => head.toString('latin1', at, at + 4) === 'DICM')
  let at = prefix === undefined ? 0 : prefix + 4
  const found = new Map<number, Buffer>()
  let end = Number.POSITIVE_INFINITY
  while (at + 8 <= head.length && at < end && head.readUInt16LE(at) === 0x0002) {
    const isLong = longVrs.has(head.toString('latin1', at + 4, at + 6))
    if (isLong && at + 12 > head.length) break
    const value = at + (isLong ? 12 : 8)
    const next = value + (isLong ? head.readUInt32LE(at + 8) : head.readUInt16LE(at + 6))
    const which = head.readUInt16LE(at + 2)
    found.set(which, head.subarray(value, next))
    if (which === 0 && next - value === 4) end = next + head.readUInt32LE(value)
    at = next
  }
  if (found.size === 0) return undefined
  const text = (which: number) => (found.get(which) ?? Buffer.alloc(0)).toString('latin1').replace(/[\0 ]+$/, '')
  return { sopClass: text(0x0002), sopInstance: text(0x0003), transferSyntax: text(0x0010), dataAt: at }
}
