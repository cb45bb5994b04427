/**
 * Passes over an element of undefined length (PS3.5 7.5.1) without making anything of it: a sequence of tens of MB costs
 * one walk over its lengths, and no memory. This runs in the process that takes images in.
 */
import { RaylogError } from '../../../schemas/errors.ts'

const undefinedLength = 0xffffffff
const delimiters = 0xfffe
const item = 0xe000
const itemEnd = 0xe00d
const sequenceEnd = 0xe0dd
/** Devices nest ten deep or so. */
const maxDepth = 128

/** VRs with 4 bytes of length (PS3.5 7.1.2); dicom-parser 1.8 does not know OV, SV and UV. */
export const longVrs = new Set(['OB', 'OD', 'OF', 'OL', 'OV', 'OW', 'SQ', 'SV', 'UC', 'UN', 'UR', 'UT', 'UV'])

/** The same, by the two letters as a number. */
const isLong = new Uint8Array(65_536)
for (const vr of longVrs) isLong[(vr.charCodeAt(0) << 8) | vr.charCodeAt(1)] = 1
const unknownVr = 0x554e // UN

interface Level {
  /** Within an item, whose elements come next; otherwise within a sequence, whose items do. */
  inItem: boolean
  explicit: boolean
}

const refused = (why: string) => new RaylogError('malformed-dicom', `a sequence of undefined length: ${why}`)

/**
 * @param from of the first byte of its value
 * @param vr of the element itself; undefined where it is implicit
 * @returns where the next element stands; undefined where the bytes end inside it
 * @throws RaylogError malformed-dicom
 */
export function skipUndefined(
  bytes: Uint8Array,
  from: number,
  vr: string | undefined,
  bigEndian = false,
): number | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const little = !bigEndian
  // What is of unknown VR and undefined length is implicit within, whatever stands around it (PS3.5 6.2.2, note 4).
  let level: Level | undefined = { inItem: false, explicit: vr !== undefined && vr !== 'UN' }
  const levels: Level[] = [level]
  const enter = (next: Level) => {
    if (levels.length >= maxDepth) throw refused(`nested deeper than ${maxDepth}`)
    levels.push(next)
    level = next
  }
  let at = from
  while (level !== undefined) {
    if (at + 8 > bytes.length) return undefined
    if (view.getUint16(at, little) === delimiters) {
      const tag = view.getUint16(at + 2, little)
      const length = view.getUint32(at + 4, little)
      at += 8
      if (tag === item && !level.inItem) {
        if (length === undefinedLength) enter({ inItem: true, explicit: level.explicit })
        else at += length
      } else if (tag === (level.inItem ? itemEnd : sequenceEnd)) {
        levels.pop()
        level = levels.at(-1)
      } else throw refused('its items do not fit together')
      continue
    }
    if (!level.inItem) throw refused('something other than an item in it')
    const code = level.explicit ? view.getUint16(at + 4) : 0
    const long = isLong[code] === 1
    if (long && at + 12 > bytes.length) return undefined
    const length = long
      ? view.getUint32(at + 8, little)
      : level.explicit
        ? view.getUint16(at + 6, little)
        : view.getUint32(at + 4, little)
    at += long ? 12 : 8
    if (length === undefinedLength) enter({ inItem: false, explicit: level.explicit && code !== unknownVr })
    else at += length
  }
  return at > bytes.length ? undefined : at
}
