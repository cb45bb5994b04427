/** Transfer syntaxes (PS3.5 section 10, PS3.6 table A-1) and how the pixels of each are packed. */
import { RaylogError } from '../../../schemas/errors.ts'

export type Packing =
  | 'native'
  | 'raw-frames'
  | 'deflated-frames'
  | 'rle'
  | 'jpeg'
  | 'jpeg-lossless'
  | 'jpeg-ls'
  | 'j2k'
  | 'htj2k'

interface Syntax {
  name: string
  packing: Packing
}

const syntaxes: Readonly<Record<string, Syntax>> = {
  '1.2.840.10008.1.2': { name: 'Implicit VR Little Endian', packing: 'native' },
  '1.2.840.10008.1.2.1': { name: 'Explicit VR Little Endian', packing: 'native' },
  '1.2.840.10008.1.2.1.98': { name: 'Encapsulated Uncompressed Explicit VR Little Endian', packing: 'raw-frames' },
  '1.2.840.10008.1.2.1.99': { name: 'Deflated Explicit VR Little Endian', packing: 'native' },
  '1.2.840.10008.1.2.2': { name: 'Explicit VR Big Endian', packing: 'native' },
  '1.2.840.10008.1.2.8.1': { name: 'Deflated Image Frame Compression', packing: 'deflated-frames' },
  '1.2.840.10008.1.2.5': { name: 'RLE Lossless', packing: 'rle' },
  '1.2.840.10008.1.2.4.50': { name: 'JPEG Baseline', packing: 'jpeg' },
  '1.2.840.10008.1.2.4.51': { name: 'JPEG Extended', packing: 'jpeg' },
  '1.2.840.10008.1.2.4.57': { name: 'JPEG Lossless', packing: 'jpeg-lossless' },
  '1.2.840.10008.1.2.4.70': { name: 'JPEG Lossless, First-Order Prediction', packing: 'jpeg-lossless' },
  '1.2.840.10008.1.2.4.80': { name: 'JPEG-LS Lossless', packing: 'jpeg-ls' },
  '1.2.840.10008.1.2.4.81': { name: 'JPEG-LS Near-Lossless', packing: 'jpeg-ls' },
  '1.2.840.10008.1.2.4.90': { name: 'JPEG 2000 Lossless', packing: 'j2k' },
  '1.2.840.10008.1.2.4.91': { name: 'JPEG 2000', packing: 'j2k' },
  '1.2.840.10008.1.2.4.201': { name: 'HTJ2K Lossless', packing: 'htj2k' },
  '1.2.840.10008.1.2.4.202': { name: 'HTJ2K Lossless RPCL', packing: 'htj2k' },
  '1.2.840.10008.1.2.4.203': { name: 'HTJ2K', packing: 'htj2k' },
}

/** Stored, and not decoded: what they are, for whoever asks why. */
const storedOnly: Readonly<Record<string, { name: string; video: boolean }>> = {
  ...videos('MPEG-2', '100', '100.1', '101', '101.1'),
  ...videos('MPEG-4 AVC/H.264', '102', '102.1', '103', '103.1', '104', '104.1', '105', '105.1', '106', '106.1'),
  ...videos('HEVC/H.265', '107', '108'),
  '1.2.840.10008.1.2.4.110': { name: 'JPEG XL Lossless', video: false },
  '1.2.840.10008.1.2.4.111': { name: 'JPEG XL JPEG Recompression', video: false },
  '1.2.840.10008.1.2.4.112': { name: 'JPEG XL', video: false },
  '1.2.840.10008.1.2.4.92': { name: 'JPEG 2000 Part 2 Multi-component Lossless', video: false },
  '1.2.840.10008.1.2.4.93': { name: 'JPEG 2000 Part 2 Multi-component', video: false },
  '1.2.840.10008.1.2.4.94': { name: 'JPIP Referenced', video: false },
  '1.2.840.10008.1.2.4.95': { name: 'JPIP Referenced Deflate', video: false },
  '1.2.840.10008.1.2.4.204': { name: 'JPIP HTJ2K Referenced', video: false },
  '1.2.840.10008.1.2.4.205': { name: 'JPIP HTJ2K Referenced Deflate', video: false },
}

function videos(name: string, ...tails: string[]) {
  return Object.fromEntries(tails.map(tail => [`1.2.840.10008.1.2.4.${tail}`, { name, video: true }]))
}

/** Whether all frames of an object are one stream, of which none can be taken alone. */
export const isVideo = (uid: string): boolean => Object.hasOwn(storedOnly, uid) && storedOnly[uid]?.video === true

/** Why pixels in a transfer syntax are not decoded. */
export function notDecoded(uid: string): RaylogError {
  const known = Object.hasOwn(storedOnly, uid) ? storedOnly[uid] : undefined
  const shown = uid.slice(0, 64)
  if (known === undefined) return new RaylogError('unknown-transfer-syntax', `transfer syntax ${shown}`)
  const code = known.video ? 'video-not-decoded' : 'unknown-transfer-syntax'
  return new RaylogError(code, `${known.name} (transfer syntax ${shown}) is stored, and not decoded`)
}

export const implicitLittle = '1.2.840.10008.1.2'
export const explicitLittle = '1.2.840.10008.1.2.1'
export const explicitBig = '1.2.840.10008.1.2.2'
export const deflated = '1.2.840.10008.1.2.1.99'

/** Undefined where Raylog does not decode it; the object is stored all the same. */
export const syntaxOf = (uid: string): Syntax | undefined => (Object.hasOwn(syntaxes, uid) ? syntaxes[uid] : undefined)

/** How a data set of the transfer syntax is written (PS3.5 A.1 to A.5). */
export const encodingOf = (uid: string): { explicit: boolean; big: boolean } => ({
  explicit: uid !== implicitLittle,
  big: uid === explicitBig,
})

/** In our order: an object that is decoded can be given in each of them. */
const uncompressed: readonly string[] = [explicitLittle, implicitLittle, deflated, explicitBig]

/** The transfer syntaxes that an object of this one can be given in, itself left out. */
export const transcodedTo = (uid: string): readonly string[] =>
  syntaxOf(uid) === undefined ? [] : uncompressed.filter(each => each !== uid)
