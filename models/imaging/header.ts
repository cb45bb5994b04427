/** Says what some bytes are from their beginning, without decoding pixels. */
import type { Metadata } from 'sharp'
import { RaylogError } from '../../schemas/errors.ts'
import type { PatientIdentity } from '../../schemas/patient.ts'
import { type Parsed, parseDataSet, uidText } from './dicom/dataset.ts'
import { fragmentsOf } from './dicom/fragments.ts'
import { frameBytes, framesOf, readPixelModule } from './dicom/pixels.ts'
import { sniff } from './dicom/sniff.ts'
import { syntaxOf } from './dicom/syntaxes.ts'
import { textOf } from './dicom/text.ts'
import { acquiredAt } from './dicom/time.ts'
import { maxPixels } from './limits.ts'
import type { Described, ImageFacts } from './port.ts'

const mediaDirectory = '1.2.840.10008.1.3.10'
/** A beginning is inflated no further than this, bytes; the facts stand well before. */
export const maxInflatedHead = 16 * 1024 * 1024
/** A whole object that is larger when inflated is treated as a beginning: this runs in the process that takes images in. */
const maxInflated = 64 * 1024 * 1024

/**
 * Reads the header from the first bytes of an object.
 * @param head DICOM with or without preamble and file meta, PNG, JPEG or TIFF
 * @param complete whether `head` is all there is; then its end is checked too
 * @throws RaylogError not-an-image, malformed-dicom, truncated, too-large
 */
export async function describe(head: Uint8Array, complete: boolean): Promise<Described> {
  const kind = sniff(head)
  if (kind === undefined) throw new RaylogError('not-an-image', 'neither DICOM, PNG, JPEG nor TIFF')
  if (kind === 'dicom') return describeDicom(head, complete)
  return { facts: await plainFacts(head, `image/${kind}`, complete), patient: null }
}

async function describeDicom(head: Uint8Array, complete: boolean): Promise<Described> {
  try {
    return await readDicom(head, complete)
  } catch (thrown) {
    if (!complete || !(thrown instanceof RaylogError) || thrown.code !== 'too-large') throw thrown
    return readDicom(head, false)
  }
}

async function readDicom(head: Uint8Array, complete: boolean): Promise<Described> {
  const lastGroup = complete ? 0x7fe0 : 0x28
  const parsed = await parseDataSet(head, {
    lastGroup,
    complete,
    maxInflated: complete ? maxInflated : maxInflatedHead,
  })
  const sopClass = uidText(parsed.data.string('x00080016')) ?? uidText(parsed.meta.string('x00020002'))
  if (sopClass === mediaDirectory)
    throw new RaylogError('not-an-image', 'a DICOMDIR only lists files: send the files that it lists')
  const { cutAt, data, meta } = parsed
  if (cutAt !== undefined && (complete || cutAt <= 0x28))
    throw new RaylogError('truncated', `the data end inside group ${cutAt.toString(16).padStart(4, '0')}`)
  if (complete) checkPixels(parsed)
  const hasImage = data.elements.x00280010 !== undefined && (!complete || parsed.pixels !== undefined)
  const text = textOf(data)
  const word = (tag: string) => shortWord(text(tag, 'LO'))
  const facts: ImageFacts = {
    contentType: 'application/dicom',
    dicom: {
      sopClass: uid(sopClass, 'SOP Class UID'),
      sopInstance: uid(data.string('x00080018') ?? meta.string('x00020003'), 'SOP Instance UID'),
      series: uid(data.string('x0020000e'), 'Series Instance UID'),
      study: uid(data.string('x0020000d'), 'Study Instance UID'),
      transferSyntax: uid(parsed.transferSyntax, 'Transfer Syntax UID'),
    },
    modality: word('x00080060'),
    bodyPart: word('x00180015'),
    view: word('x00185101'),
    laterality: laterality(word('x00200062') ?? word('x00200060')),
    studyInstances: count(word('x00201208')),
    rows: hasImage ? size(data.uint16('x00280010')) : null,
    columns: hasImage ? size(data.uint16('x00280011')) : null,
    frames: hasImage ? framesOf(data) : 0,
    photometric: hasImage ? word('x00280004') : null,
    equipment: { manufacturer: word('x00080070'), model: word('x00081090'), station: word('x00081010') },
    acquiredAt: acquiredAt(data),
  }
  return { facts, patient: identity(parsed) }
}

export function identity({ data }: Parsed): PatientIdentity {
  const text = textOf(data)
  return {
    name: text('x00100010', 'PN'),
    patientId: text('x00100020', 'LO'),
    issuer: text('x00100021', 'LO'),
    birthDate: text('x00100030', 'LO'),
    sex: text('x00100040', 'LO'),
    accession: text('x00080050', 'LO'),
  }
}

/** The pixels must be as long as the header says, or every fragment as long as it says itself. */
function checkPixels(parsed: Parsed): void {
  const { pixels, bytes } = parsed
  if (pixels === undefined) return
  if (pixels.hadUndefinedLength === true) {
    fragmentsOf(parsed)
    return
  }
  const left = bytes.length - pixels.dataOffset
  if (pixels.length > left)
    throw new RaylogError('truncated', `the pixels say ${pixels.length} bytes, but ${left} are there`)
  if (syntaxOf(parsed.transferSyntax)?.packing !== 'native') return
  const needed = nativeBytes(parsed)
  if (needed !== undefined && pixels.length < needed)
    throw new RaylogError('truncated', `the pixels need ${needed} bytes, and have ${pixels.length}`)
}

/** Undefined where the header describes no pixels that can be decoded: such an object is stored all the same. */
function nativeBytes(parsed: Parsed): number | undefined {
  try {
    const module = readPixelModule(parsed)
    return Math.ceil(frameBytes(module) * module.frames)
  } catch (thrown) {
    if (thrown instanceof RaylogError) return undefined
    throw thrown
  }
}

/** Image Laterality, or Laterality of the older objects (PS3.3 C.7.3.1, C.8.11.1); what is neither is not passed on. */
const laterality = (text: string | null) => (text !== null && ['L', 'R', 'B', 'U'].includes(text) ? text : null)

/** An Integer String of at least 1 that an Avro int holds. */
function count(text: string | null): number | null {
  const value = text !== null && /^\+?\d{1,9}$/.test(text) ? Number(text) : 0
  return value > 0 ? value : null
}

const size = (value: number | undefined) => (value === undefined || value === 0 ? null : value)

/** First value, no control characters, at most 64 characters: what a short text may be (PS3.5 6.2, LO). */
function shortWord(text: string | null): string | null {
  const first = text
    ?.split('\\')[0]
    ?.replace(/\p{Cc}/gu, '')
    .trim()
    .slice(0, 64)
  return first === undefined || first === '' ? null : first
}

function uid(value: string | undefined, what: string): string {
  const text = uidText(value)
  if (text === undefined) throw new RaylogError('malformed-dicom', `${what} is missing`)
  if (text.length > 64 || !/^[0-9.]+$/.test(text)) throw new RaylogError('malformed-dicom', `${what} is not a UID`)
  return text
}

async function plainFacts(head: Uint8Array, contentType: string, complete: boolean): Promise<ImageFacts> {
  const meta = await plainMetadata(head, complete)
  if (meta.width * meta.height > maxPixels)
    throw new RaylogError('too-large', `${meta.width} x ${meta.height} pixels; the limit is ${maxPixels}`)
  const turned = (meta.orientation ?? 1) > 4 // EXIF: shown turned by 90 degrees
  return {
    contentType,
    dicom: null,
    modality: null,
    bodyPart: null,
    view: null,
    laterality: null,
    studyInstances: null,
    rows: turned ? meta.width : meta.height,
    columns: turned ? meta.height : meta.width,
    frames: meta.pages ?? 1,
    photometric: meta.channels < 3 ? 'MONOCHROME2' : 'RGB',
    equipment: null,
    acquiredAt: null,
  }
}

async function plainMetadata(head: Uint8Array, complete: boolean): Promise<Metadata> {
  const { default: sharp } = await import('sharp')
  try {
    return await sharp(head, { limitInputPixels: false, failOn: 'none' }).metadata()
  } catch (thrown) {
    if (!complete)
      throw new RaylogError('truncated', `the header does not end within ${head.length} bytes`, { cause: thrown })
    throw new RaylogError('not-an-image', 'it begins as an image, but its header cannot be read', { cause: thrown })
  }
}
