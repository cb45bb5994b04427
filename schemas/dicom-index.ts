/**
 * What can be asked for and is answered by a query (QIDO-RS, PS3.18 10.6; C-FIND, PS3.4 C.6), by level. One table: what is
 * read from a header, what is returned, and what the conformance statement says come from it.
 */
import type { DicomValue } from './dicom-json.ts'

export const queryLevels = ['PATIENT', 'STUDY', 'SERIES', 'IMAGE'] as const
export type QueryLevel = (typeof queryLevels)[number]

export interface IndexedAttribute {
  /** Eight upper-case hexadecimal digits. */
  readonly tag: string
  readonly keyword: string
  readonly vr: string
  readonly level: QueryLevel
  /** Returned without being asked for (PS3.18 tables 10.6.3-3 to 5); otherwise where includefield or a return key names it. */
  readonly always: boolean
  /** Counted or collected when asked, not read from a header. */
  readonly computed: boolean
  /** Whether a value narrows the query. What is counted is known only of what was found already. */
  readonly matched: boolean
}

type From = 'header' | 'collected' | 'counted'

const rows = (level: QueryLevel, always: boolean, text: string, from: From = 'header'): IndexedAttribute[] =>
  text
    .trim()
    .split('\n')
    .map(line => {
      const [tag = '', vr = '', keyword = ''] = line.trim().split(' ')
      return { tag, vr, keyword, level, always, computed: from !== 'header', matched: from !== 'counted' }
    })

export const indexedAttributes: readonly IndexedAttribute[] = [
  ...rows(
    'PATIENT',
    true,
    `00100010 PN PatientName
     00100020 LO PatientID
     00100030 DA PatientBirthDate
     00100040 CS PatientSex`,
  ),
  ...rows(
    'PATIENT',
    false,
    `00100021 LO IssuerOfPatientID
     00100032 TM PatientBirthTime
     00101000 LO OtherPatientIDs
     00101001 PN OtherPatientNames
     00102160 SH EthnicGroup
     00104000 LT PatientComments`,
  ),
  ...rows('PATIENT', false, '00201200 IS NumberOfPatientRelatedStudies', 'counted'),
  ...rows(
    'STUDY',
    true,
    `00080020 DA StudyDate
     00080030 TM StudyTime
     00080050 SH AccessionNumber
     00080090 PN ReferringPhysicianName
     0020000D UI StudyInstanceUID
     00200010 SH StudyID`,
  ),
  ...rows(
    'STUDY',
    true,
    `00080056 CS InstanceAvailability
     00080061 CS ModalitiesInStudy`,
    'collected',
  ),
  ...rows(
    'STUDY',
    true,
    `00201206 IS NumberOfStudyRelatedSeries
     00201208 IS NumberOfStudyRelatedInstances`,
    'counted',
  ),
  ...rows(
    'STUDY',
    false,
    `00081030 LO StudyDescription
     00081048 PN PhysiciansOfRecord
     00081060 PN NameOfPhysiciansReadingStudy
     00081080 LO AdmittingDiagnosesDescription
     00101010 AS PatientAge
     00101020 DS PatientSize
     00101030 DS PatientWeight
     00102180 SH Occupation
     001021B0 LT AdditionalPatientHistory`,
  ),
  ...rows(
    'SERIES',
    true,
    `00080060 CS Modality
     0008103E LO SeriesDescription
     0020000E UI SeriesInstanceUID
     00200011 IS SeriesNumber
     00400244 DA PerformedProcedureStepStartDate
     00400245 TM PerformedProcedureStepStartTime`,
  ),
  ...rows('SERIES', true, '00201209 IS NumberOfSeriesRelatedInstances', 'counted'),
  ...rows(
    'SERIES',
    false,
    `00080021 DA SeriesDate
     00080031 TM SeriesTime
     00080070 LO Manufacturer
     00080080 LO InstitutionName
     00081010 SH StationName
     00081040 LO InstitutionalDepartmentName
     00081050 PN PerformingPhysicianName
     00081070 PN OperatorsName
     00081090 LO ManufacturerModelName
     00180015 CS BodyPartExamined
     00181030 LO ProtocolName
     00185100 CS PatientPosition
     00200052 UI FrameOfReferenceUID
     00200060 CS Laterality
     00400253 SH PerformedProcedureStepID
     00400254 LO PerformedProcedureStepDescription`,
  ),
  ...rows(
    'IMAGE',
    true,
    `00080016 UI SOPClassUID
     00080018 UI SOPInstanceUID
     00200013 IS InstanceNumber
     00280008 IS NumberOfFrames
     00280010 US Rows
     00280011 US Columns
     00280100 US BitsAllocated`,
  ),
  ...rows('IMAGE', true, '00083002 UI AvailableTransferSyntaxUID', 'collected'),
  ...rows(
    'IMAGE',
    false,
    `00080008 CS ImageType
     00080012 DA InstanceCreationDate
     00080013 TM InstanceCreationTime
     00080022 DA AcquisitionDate
     00080023 DA ContentDate
     0008002A DT AcquisitionDateTime
     00080032 TM AcquisitionTime
     00080033 TM ContentTime
     00185101 CS ViewPosition
     00200012 IS AcquisitionNumber
     00280004 CS PhotometricInterpretation
     00281050 DS WindowCenter
     00281051 DS WindowWidth
     0040A491 CS CompletionFlag
     0040A493 CS VerificationFlag`,
  ),
]

const byTag = new Map(indexedAttributes.map(attribute => [attribute.tag, attribute]))
const byKeyword = new Map(indexedAttributes.map(attribute => [attribute.keyword, attribute]))

/** @param name a tag (`00100010`) or a keyword (`PatientName`) */
export const indexedAttribute = (name: string): IndexedAttribute | undefined =>
  byTag.get(name.toUpperCase()) ?? byKeyword.get(name)

/** Values by tag; the VR is the table's. What a document keeps. */
export type IndexedValues = Record<string, DicomValue[]>

/** A study as queries see it. Names, ids and free text are in `sealed` alone; the digests are keyed (storage/secrets.ts). */
export interface DicomStudyDoc {
  /** As in `studies`. */
  id: string
  site: string
  /** Study date and time as yyyymmddhhmmss, so that a range of dates is a range of this; 0: not known. */
  at: number
  uid: string
  /** Pseudonym. */
  patient: string | null
  /** Digests of the patient's id, of the family name (trimmed, lower case), and of the accession number. */
  patientId: string | null
  family: string | null
  accession: string | null
  /** Of all series, sorted, each between backslashes: `\CT\SR\`; empty where none says. */
  modalities: string
  /** Values of patient and study, sealed for this id. */
  sealed: string
  /** Another one where `sealed` is: who holds that opened need not read it again. What was written before has none. */
  mark?: string
}

export interface DicomSeriesDoc {
  id: string
  site: string
  /** Series number; 0: none. */
  at: number
  uid: string
  /** Id of the study. */
  study: string
  modality: string | null
  /** Values of the series, sealed for this id. */
  sealed: string
}

/** The first object that came with its SOP Instance UID: what came later with other content is an instance too, but not this. */
export interface DicomInstanceDoc {
  id: string
  site: string
  /** Instance number; 0: none. */
  at: number
  uid: string
  study: string
  /** Id of the series. */
  series: string
  /** Id in `instances`. */
  instance: string
  transferSyntax: string
  object: { key: string; sha256: string; bytes: number }
  /** Nothing that names anyone. */
  values: IndexedValues
}
