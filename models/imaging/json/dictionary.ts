/** VRs of public elements (PS3.6), for what does not say its own. */
import table from './dictionary.json' with { type: 'json' }

const plain = new Map<string, string>()
/** Of repeating groups: `60xx3000`. */
const repeating = new Map<string, string>()
for (const [vr, tags] of Object.entries(table))
  for (const tag of tags.split(' ')) (tag.includes('x') ? repeating : plain).set(tag, vr)

/** Facts that decide between two VRs of one element (PS3.5 A.1, PS3.3 C.7.6.3). */
export interface VrContext {
  /** Pixel Representation is 1. */
  signed: boolean
}

/**
 * @param tag eight upper-case hexadecimal digits
 * @returns undefined for an element that the standard does not have
 */
export function vrOf(tag: string, { signed }: VrContext): string | undefined {
  const vr = plain.get(tag) ?? repeating.get(`${tag.slice(0, 2)}xx${tag.slice(4)}`) ?? privateVr(tag)
  if (vr === undefined) return undefined
  if (!vr.includes(' or ')) return vr
  if (vr === 'US or SS') return signed ? 'SS' : 'US'
  return vr.includes('OW') ? 'OW' : vr.slice(0, 2)
}

/** Private creators are LO whatever the encoding (PS3.5 7.8.1). */
function privateVr(tag: string): string | undefined {
  const isPrivate = Number.parseInt(tag[3] ?? '0', 16) % 2 === 1
  return isPrivate && /^00[1-9A-F][0-9A-F]$/.test(tag.slice(4)) ? 'LO' : undefined
}
