/** What is accepted: storage SOP classes (PS3.4 B.5) and transfer syntaxes (PS3.5 A, PS3.6 A). */
import { isUid } from '../../dicom/uid.ts'

export const verification = '1.2.840.10008.1.1'

export const storageRoot = '1.2.840.10008.5.1.4.1.1.'

/** Storage SOP classes, some of them retired, that stand outside the root. */
const storageElsewhere = new Set([
  '1.2.840.10008.5.1.1.27', // Stored Print (retired)
  '1.2.840.10008.5.1.1.29', // Hardcopy Grayscale Image (retired)
  '1.2.840.10008.5.1.1.30', // Hardcopy Color Image (retired)
  '1.2.840.10008.5.1.4.34.1', // RT Beams Delivery Instruction, trial (retired)
  '1.2.840.10008.5.1.4.34.7', // RT Beams Delivery Instruction
  '1.2.840.10008.5.1.4.34.10', // RT Brachy Application Setup Delivery Instruction
  '1.2.840.10008.5.1.4.38.1', // Hanging Protocol
  '1.2.840.10008.5.1.4.39.1', // Color Palette
  '1.2.840.10008.5.1.4.43.1', // Generic Implant Template
  '1.2.840.10008.5.1.4.44.1', // Implant Assembly Template
  '1.2.840.10008.5.1.4.45.1', // Implant Template Group
])

/** Queries and services that share the root, and are not storage. */
export const notStorage: ReadonlySet<string> = new Set([
  `${storageRoot}200.4`, // Protocol Approval Information Model, FIND, MOVE, GET
  `${storageRoot}200.5`,
  `${storageRoot}200.6`,
  `${storageRoot}201.2`, // Inventory, FIND, MOVE, GET, creation, repository query
  `${storageRoot}201.3`,
  `${storageRoot}201.4`,
  `${storageRoot}201.5`,
  `${storageRoot}201.6`,
])

const uidForm = /^[0-2](\.(0|[1-9]\d*))+$/

/**
 * Whether instances of the SOP class can be stored. Classes that are newer than this code are known by their root.
 * @param withPrivate also take classes outside the standard's own root
 */
export function isStorageClass(uid: string, withPrivate: boolean): boolean {
  if (storageElsewhere.has(uid)) return true
  if (uid.startsWith(storageRoot)) return uidForm.test(uid) && !notStorage.has(uid)
  return withPrivate && isUid(uid) && !uid.startsWith('1.2.840.10008.')
}

const encapsulated = '1.2.840.10008.1.2.4.'

/**
 * Those that are decoded, and those that are stored only: video, JPEG XL, JPEG 2000 part 2; with their names (PS3.6 table A-1).
 * Not those whose pixels are elsewhere (JPIP).
 */
export const transferSyntaxNames: ReadonlyMap<string, string> = new Map([
  ['1.2.840.10008.1.2', 'Implicit VR Little Endian'],
  ['1.2.840.10008.1.2.1', 'Explicit VR Little Endian'],
  ['1.2.840.10008.1.2.1.98', 'Encapsulated Uncompressed Explicit VR Little Endian'],
  ['1.2.840.10008.1.2.1.99', 'Deflated Explicit VR Little Endian'],
  ['1.2.840.10008.1.2.2', 'Explicit VR Big Endian (retired)'],
  ['1.2.840.10008.1.2.8.1', 'Deflated Image Frame Compression'],
  ['1.2.840.10008.1.2.5', 'RLE Lossless'],
  [`${encapsulated}50`, 'JPEG Baseline (Process 1)'],
  [`${encapsulated}51`, 'JPEG Extended (Process 2 and 4)'],
  [`${encapsulated}57`, 'JPEG Lossless, Non-Hierarchical (Process 14)'],
  [`${encapsulated}70`, 'JPEG Lossless, Non-Hierarchical, First-Order Prediction (Process 14, Selection Value 1)'],
  [`${encapsulated}80`, 'JPEG-LS Lossless'],
  [`${encapsulated}81`, 'JPEG-LS Lossy (Near-Lossless)'],
  [`${encapsulated}90`, 'JPEG 2000 (Lossless Only)'],
  [`${encapsulated}91`, 'JPEG 2000'],
  [`${encapsulated}92`, 'JPEG 2000 Part 2 Multi-component (Lossless Only)'],
  [`${encapsulated}93`, 'JPEG 2000 Part 2 Multi-component'],
  [`${encapsulated}201`, 'High-Throughput JPEG 2000 (Lossless Only)'],
  [`${encapsulated}202`, 'High-Throughput JPEG 2000 with RPCL Options (Lossless Only)'],
  [`${encapsulated}203`, 'High-Throughput JPEG 2000'],
  [`${encapsulated}110`, 'JPEG XL Lossless'],
  [`${encapsulated}111`, 'JPEG XL JPEG Recompression'],
  [`${encapsulated}112`, 'JPEG XL'],
  [`${encapsulated}100`, 'MPEG2 Main Profile / Main Level'],
  [`${encapsulated}100.1`, 'Fragmentable MPEG2 Main Profile / Main Level'],
  [`${encapsulated}101`, 'MPEG2 Main Profile / High Level'],
  [`${encapsulated}101.1`, 'Fragmentable MPEG2 Main Profile / High Level'],
  [`${encapsulated}102`, 'MPEG-4 AVC/H.264 High Profile / Level 4.1'],
  [`${encapsulated}102.1`, 'Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.1'],
  [`${encapsulated}103`, 'MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1'],
  [`${encapsulated}103.1`, 'Fragmentable MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1'],
  [`${encapsulated}104`, 'MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video'],
  [`${encapsulated}104.1`, 'Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video'],
  [`${encapsulated}105`, 'MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video'],
  [`${encapsulated}105.1`, 'Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video'],
  [`${encapsulated}106`, 'MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2'],
  [`${encapsulated}106.1`, 'Fragmentable MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2'],
  [`${encapsulated}107`, 'HEVC/H.265 Main Profile / Level 5.1'],
  [`${encapsulated}108`, 'HEVC/H.265 Main 10 Profile / Level 5.1'],
])

export const transferSyntaxes: ReadonlySet<string> = new Set(transferSyntaxNames.keys())
