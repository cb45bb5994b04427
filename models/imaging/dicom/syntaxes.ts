/** Transfer syntaxes (PS3.5 section 10, PS3.6 table A-1) and how the pixels of each are packed. */

export type Packing = 'native' | 'raw-frames' | 'rle' | 'jpeg' | 'jpeg-lossless' | 'jpeg-ls' | 'j2k' | 'htj2k'

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

export const implicitLittle = '1.2.840.10008.1.2'
export const explicitLittle = '1.2.840.10008.1.2.1'
export const explicitBig = '1.2.840.10008.1.2.2'
export const deflated = '1.2.840.10008.1.2.1.99'

/** Undefined where Raylog does not decode it; the object is stored all the same. */
export const syntaxOf = (uid: string): Syntax | undefined => (Object.hasOwn(syntaxes, uid) ? syntaxes[uid] : undefined)
