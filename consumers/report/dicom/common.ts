/** What every DICOM object of ours has: whose it is and of which study (from the images), who made it, and when. */
import type { DicomAttributes, DicomElement } from '../../../schemas/dicom-json.ts'
import { uids } from '../../../schemas/ids.ts'
import { reportEquipment } from '../../../schemas/own-report.ts'
import { modelsOf } from '../study/facts.ts'
import type { StudyContent, StudyImage } from '../study/format.ts'
import { firstText, patientAndStudyTags } from '../study/header.ts'
import { codeItem, processingAlgorithm } from './codes.ts'
import type { Created } from './created.ts'
import { line, offsetOf, timesOf } from './text.ts'
import type { DataSet } from './write.ts'

/** An image that other objects can refer to. */
export interface Referenced {
  image: StudyImage
  sopClass: string
  sopInstance: string
  series: string
  study: string
}

/** Of those that are known. Nothing can refer to a plain image, or to one that was erased. */
export const referencedOf = (images: readonly StudyImage[]): Referenced[] =>
  images.flatMap(image => {
    const dicom = image.instance?.dicom
    return dicom ? [{ image, ...dicom }] : []
  })

/** Patient and study as the images have them; without a header that can be read, as far as it is known otherwise. */
export function copiedOf({ header, identity, institution }: StudyContent): DicomAttributes {
  const copied: DicomAttributes = {}
  for (const tag of patientAndStudyTags) {
    const element = header?.[tag]
    if (element && isValid(element)) copied[tag] = element
  }
  if (institution !== null) copied['00080080'] = { vr: 'LO', Value: [institution] }
  if (header || !identity) return copied
  const { name, patientId, issuer, birthDate, sex } = identity
  const [Alphabetic = '', Ideographic = '', Phonetic = ''] = (name ?? '').split('=')
  copied['00100010'] = { vr: 'PN', Value: name === null ? [] : [{ Alphabetic, Ideographic, Phonetic }] }
  for (const [tag, vr, value] of [
    ['00100020', 'LO', patientId],
    ['00100021', 'LO', issuer],
    ['00100030', 'DA', birthDate],
    ['00100040', 'CS', sex],
  ] as const)
    if (value !== null) copied[tag] = { vr, Value: [value] }
  return copied
}

/** What values of these VRs look like (PS3.5 6.2): images that break it are in archives, and a report need not. */
const shapes: Readonly<Record<string, RegExp>> = {
  AS: /^\d{3}[DWMY]$/,
  CS: /^[A-Z0-9_ ]{0,16}$/,
  DA: /^\d{8}$/,
  DS: /^[\d+\-.eE ]{1,16}$/,
  TM: /^\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?$/,
  UI: /^[\d.]{1,64}$/,
}

function isValid({ vr, Value: values = [] }: DicomElement): boolean {
  const shape = shapes[vr]
  return shape === undefined || values.every(value => typeof value !== 'string' || shape.test(value))
}

/** Type 2 of Patient and General Study (PS3.3 C.7.1.1, C.7.2.1), empty where the images lack them. */
const always: Readonly<Record<string, string>> = {
  PatientName: '00100010',
  PatientID: '00100020',
  PatientBirthDate: '00100030',
  PatientSex: '00100040',
  StudyDate: '00080020',
  StudyTime: '00080030',
  AccessionNumber: '00080050',
  ReferringPhysicianName: '00080090',
  StudyID: '00200010',
}

export interface ObjectOptions {
  /** Its format gives the UIDs, with study, revision and part. */
  as: Created
  part?: string
  instanceNumber: number
  version: string
}

/** SOP Common, Patient, General Study, General Series, General and Enhanced General Equipment. */
export function commonModules(content: StudyContent, options: ObjectOptions): DataSet {
  const { assessed, header, site } = content
  const { date, time } = contentTimes(content)
  const copied = copiedOf(content)
  const empty = Object.entries(always).filter(([, tag]) => !copied[tag])
  const [known] = referencedOf(content.images)
  const contributors = algorithms(content)
  return {
    ...Object.fromEntries(empty.map(([keyword]) => [keyword, []])),
    SOPClassUID: options.as.sopClass,
    SOPInstanceUID: uids.report(assessed.study, assessed.revision, options.as.format, options.part ?? null),
    InstanceCreationDate: date,
    InstanceCreationTime: time,
    TimezoneOffsetFromUTC: offsetIn(header) ?? undefined,
    StudyInstanceUID: known?.study,
    Modality: options.as.modality,
    SeriesInstanceUID: uids.reportSeries(assessed.study, options.as.format),
    SeriesNumber: options.as.seriesNumber,
    SeriesDate: date,
    SeriesTime: time,
    SeriesDescription: options.as.seriesDescription,
    InstanceNumber: options.instanceNumber,
    ContentDate: date,
    ContentTime: time,
    Manufacturer: reportEquipment.manufacturer,
    ManufacturerModelName: reportEquipment.model,
    // One Raylog a site: what serial numbers are for.
    DeviceSerialNumber: line(site) || 'main',
    SoftwareVersions: options.version,
    ContributingEquipmentSequence: contributors.length > 0 ? contributors : undefined,
  }
}

/**
 * What the object was made of the answers of (PS3.3 C.12.1.1.5), each model an item with a UID of its own weights, as IHE AIR
 * asks for under "General Result Encoding Requirements". No answer says who trained its model.
 */
const algorithms = (content: StudyContent): DataSet[] =>
  [...modelsOf(content).values()].map(({ name, version, digest }) => ({
    Manufacturer: 'unknown',
    ManufacturerModelName: line(name) || 'unnamed',
    DeviceUID: uids.model(name, version, digest),
    SoftwareVersions: line(version) || 'unknown',
    PurposeOfReferenceCodeSequence: codeItem(processingAlgorithm),
  }))

export const contentTimes = ({ madeAt, header }: StudyContent) => timesOf(madeAt, offsetIn(header))

const offsetIn = (header: DicomAttributes | null) => offsetOf(header && firstText(header, '00080201'))

/**
 * The document that one of this format takes the place of (PS3.3 C.17.2): the newest before it. The revision directly
 * before need not have one, where the format was refused then.
 */
export function predecessorOf({ assessed: { study }, images, predecessor }: StudyContent, as: Created): DataSet {
  const before = predecessor?.reports.find(({ format }) => format === as.format)
  if (!before) return {}
  const [known] = referencedOf(images)
  return {
    PredecessorDocumentsSequence: hierarchical([
      {
        study: known?.study ?? '',
        series: uids.reportSeries(study, as.format),
        sopClass: as.sopClass,
        sopInstance: uids.report(study, before.revision, as.format, before.part),
      },
    ]),
  }
}

/** Study, series and instances (PS3.3 C.17.2.1, Hierarchical SOP Instance Reference Macro). */
export function hierarchical(references: readonly Omit<Referenced, 'image'>[]): DataSet[] {
  return [...Map.groupBy(references, ({ study }) => study)].map(([study, ofStudy]) => ({
    StudyInstanceUID: study,
    ReferencedSeriesSequence: [...Map.groupBy(ofStudy, ({ series }) => series)].map(([series, ofSeries]) => ({
      SeriesInstanceUID: series,
      ReferencedSOPSequence: ofSeries.map(reference),
    })),
  }))
}

export const reference = ({ sopClass, sopInstance }: Pick<Referenced, 'sopClass' | 'sopInstance'>): DataSet => ({
  ReferencedSOPClassUID: sopClass,
  ReferencedSOPInstanceUID: sopInstance,
})
