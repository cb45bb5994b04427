/** What is accepted: storage SOP classes (PS3.4 B.5) and transfer syntaxes (PS3.5 A, PS3.6 A). */

export const verification = '1.2.840.10008.1.1'

const storageRoot = '1.2.840.10008.5.1.4.1.1.'

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
const notStorage = new Set([
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

/** Whether it is a UID at all: digits and dots, 64 characters at most (PS3.5 9.1). Zeros that lead a part are let pass. */
const isUid = (uid: string) => uid.length <= 64 && /^[0-9]+(\.[0-9]+)+$/.test(uid)

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

/** Those that are decoded, and video, which is stored only. */
export const transferSyntaxes: ReadonlySet<string> = new Set([
  '1.2.840.10008.1.2', // implicit VR little endian
  '1.2.840.10008.1.2.1', // explicit VR little endian
  '1.2.840.10008.1.2.1.99', // deflated
  '1.2.840.10008.1.2.2', // explicit VR big endian (retired)
  '1.2.840.10008.1.2.5', // RLE
  ...['50', '51', '57', '70'].map(tail => encapsulated + tail), // JPEG
  ...['80', '81'].map(tail => encapsulated + tail), // JPEG-LS
  ...['90', '91'].map(tail => encapsulated + tail), // JPEG 2000
  ...['201', '202', '203'].map(tail => encapsulated + tail), // High-Throughput JPEG 2000
  ...['100', '100.1', '101', '101.1'].map(tail => encapsulated + tail), // MPEG-2
  ...['102', '102.1', '103', '103.1', '104', '104.1', '105', '105.1', '106', '106.1'].map(tail => encapsulated + tail), // MPEG-4
  ...['107', '108'].map(tail => encapsulated + tail), // HEVC
])
