/**
 * Made-up images for the demo, the tests and measurements: nobody's. The same seed gives the same bytes. A radiograph is a
 * template made once, with its UIDs and pixels patched in, so that a sender can have hundreds a second.
 */
import dcmjs from 'dcmjs-dimse'
import { filePrefix } from '../../dicom/part10.ts'
import { chestPixels } from './chest.ts'

export { digitPng } from './digits.ts'
export { tissuePng } from './tissue.ts'

export interface ChestOptions {
  /** Rows and columns, even. */
  size?: number
  /** Number of the study that it belongs to; every seed has its own unless given. */
  study?: number
  /** When it was taken, ms since the epoch. */
  takenAt?: number
}

const sopClass = '1.2.840.10008.5.1.4.1.1.1.1' // Digital X-Ray Image Storage, for presentation
const explicitLittle = '1.2.840.10008.1.2.1'

/** 2.25 and a number of 38 digits (PS3.5 B.2), so that every one of them has the same length. */
const uid = (kind: number, number: number) => `2.25.1${kind}${String(number).padStart(36, '0')}`

/** The UIDs of a radiograph. */
export function chestUids(seed: number, study = seed) {
  return { sopClass, sopInstance: uid(1, seed), series: uid(2, study), study: uid(3, study) }
}

const twoDigits = (value: number) => String(value).padStart(2, '0')

function dicomTime(ms: number): { date: string; time: string } {
  const at = new Date(ms)
  return {
    date: `${at.getUTCFullYear()}${twoDigits(at.getUTCMonth() + 1)}${twoDigits(at.getUTCDate())}`,
    time: `${twoDigits(at.getUTCHours())}${twoDigits(at.getUTCMinutes())}${twoDigits(at.getUTCSeconds())}`,
  }
}

/** What changes from one radiograph to the next; each always as long as its placeholder in the template. */
const placeholders = {
  sopInstance: uid(1, 111_111_111_111),
  series: uid(2, 111_111_111_111),
  study: uid(3, 111_111_111_111),
  patient: '98765432',
  date: '99991231',
  time: '235958',
}

function dataSet(size: number): Buffer {
  const { sopInstance, series, study, patient, date, time } = placeholders
  const elements = {
    SpecificCharacterSet: 'ISO_IR 192',
    ImageType: ['ORIGINAL', 'PRIMARY'],
    SOPClassUID: sopClass,
    SOPInstanceUID: sopInstance,
    StudyDate: date,
    AcquisitionDate: date,
    ContentDate: date,
    StudyTime: time,
    AcquisitionTime: time,
    ContentTime: time,
    AccessionNumber: `A${patient}`,
    Modality: 'DX',
    PresentationIntentType: 'FOR PRESENTATION',
    Manufacturer: 'Raylog',
    InstitutionName: 'Demonstration',
    ReferringPhysicianName: '',
    StationName: 'PHANTOM',
    StudyDescription: 'Phantom, chest PA',
    ManufacturerModelName: 'Simulator',
    PatientName: `Demo^Phantom ${patient}`,
    PatientID: `DEMO-${patient}`,
    PatientBirthDate: '19700101',
    PatientSex: 'O',
    BodyPartExamined: 'CHEST',
    ViewPosition: 'PA',
    StudyInstanceUID: study,
    SeriesInstanceUID: series,
    StudyID: patient,
    SeriesNumber: '1',
    InstanceNumber: '1',
    PatientOrientation: ['L', 'F'],
    ImageLaterality: 'U',
    SamplesPerPixel: 1,
    PhotometricInterpretation: 'MONOCHROME2',
    Rows: size,
    Columns: size,
    ImagerPixelSpacing: [(400 / size).toFixed(4), (400 / size).toFixed(4)],
    BitsAllocated: 16,
    BitsStored: 12,
    HighBit: 11,
    PixelRepresentation: 0,
    BurnedInAnnotation: 'NO',
    PixelIntensityRelationship: 'LOG',
    PixelIntensityRelationshipSign: -1,
    WindowCenter: '1900',
    WindowWidth: '3600',
    RescaleIntercept: '0',
    RescaleSlope: '1',
    RescaleType: 'US',
    LossyImageCompression: '00',
    PresentationLUTShape: 'IDENTITY',
    PixelData: [new ArrayBuffer(size * size * 2)],
    _vrMap: { PixelData: 'OW' },
  }
  return new dcmjs.Dataset(elements, explicitLittle).getDenaturalizedDataset()
}

interface Template {
  bytes: Buffer
  /** Where each placeholder stands. */
  at: Record<keyof typeof placeholders, number[]>
  pixelsAt: number
}

function makeTemplate(size: number): Template {
  const bytes = Buffer.concat([filePrefix(sopClass, placeholders.sopInstance, explicitLittle), dataSet(size)])
  const pixelsAt = bytes.length - size * size * 2
  const all = (text: string): number[] => {
    const found: number[] = []
    for (
      let at = bytes.indexOf(text, 0, 'latin1');
      at >= 0 && at < pixelsAt;
      at = bytes.indexOf(text, at + 1, 'latin1')
    )
      found.push(at)
    return found
  }
  const { sopInstance, series, study, patient, date, time } = placeholders
  const at = {
    sopInstance: all(sopInstance),
    series: all(series),
    study: all(study),
    patient: all(patient),
    date: all(date),
    time: all(time),
  }
  return { bytes, at, pixelsAt }
}

const templates = new Map<number, Template>()
/** Pictures that were drawn, by size and variant: drawing takes a thousand times as long as patching. */
const drawn = new Map<string, Buffer>()
const variants = 16
const keptPictures = 64

function picture(seed: number, size: number): Buffer {
  const variant = seed % variants
  const name = `${size}/${variant}`
  const known = drawn.get(name)
  if (known) return known
  const { buffer } = chestPixels(variant, size)
  const fresh = Buffer.from(buffer)
  if (drawn.size >= keptPictures) drawn.clear()
  drawn.set(name, fresh)
  return fresh
}

const firstTakenAt = Date.UTC(2024, 0, 1)

/**
 * A chest radiograph as a Part 10 file: DX, explicit VR little endian, 12 bits stored in 16. Seeds of one remainder by 16
 * share their picture; about four in ten have an opacity.
 * @param seed 0 or more, an integer
 */
export function chestDicom(seed: number, { size = 256, study = seed, takenAt }: ChestOptions = {}): Buffer {
  const template = templates.get(size) ?? makeTemplate(size)
  templates.set(size, template)
  const bytes = Buffer.allocUnsafe(template.bytes.length)
  template.bytes.copy(bytes, 0, 0, template.pixelsAt)
  picture(seed, size).copy(bytes, template.pixelsAt)
  const uids = chestUids(seed, study)
  const patient = String(study % 100_000_000).padStart(8, '0')
  const values = { ...uids, patient, ...dicomTime(takenAt ?? firstTakenAt + (seed % 31_536_000) * 1_000) }
  for (const [name, places] of Object.entries(template.at)) {
    const value = values[name as keyof typeof placeholders]
    for (const at of places) bytes.write(value, at, 'latin1')
  }
  return bytes
}
