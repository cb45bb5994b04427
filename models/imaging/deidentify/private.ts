/** Private attributes (PS3.5 7.8): all go but those that the settings know to be safe (PS3.15 E.3.10). */
import { looksLikeItems, type Piece, type Source } from '../dicom/elements.ts'

export interface SafePrivate {
  creator: string
  group: number
  /** The last byte of their element numbers. */
  elements: readonly number[]
}

/** Of one data set or item: who reserved which block. */
export function createPrivacy(safe: readonly SafePrivate[], source: Source) {
  const { bytes } = source
  const blocks = new Map<number, SafePrivate | undefined>()
  return {
    /** Must be asked for each private element in turn, the creators among them. */
    keeps({ tag, from, to, vr, undefinedLength }: Piece): boolean {
      if (safe.length === 0) return false
      const [group, element] = [tag >>> 16, tag & 0xffff]
      if (element >= 0x10 && element <= 0xff) {
        const creator = Buffer.from(bytes.subarray(from, to))
          .toString('latin1')
          .replace(/[\0 ]+$/, '')
        const known = safe.find(entry => entry.group === group && entry.creator === creator)
        blocks.set((group << 8) | element, known)
        return known !== undefined
      }
      // What lies within a private sequence nobody has looked at.
      if (vr === 'SQ' || vr === 'UN' || undefinedLength) return false
      if (vr === undefined && looksLikeItems(source, from, to, { explicit: false, big: false })) return false
      return blocks.get((group << 8) | (element >>> 8))?.elements.includes(element & 0xff) === true
    },
  }
}
