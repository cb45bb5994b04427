/**
 * StudyFormat: the port for the ways a whole study's result is written down: for the PACS, for other systems, for people.
 * One file or folder a format under `formats`; `formats.ts` lists them. What a format is given is said here.
 */
import type { PreviewOptions } from '../../../models/imaging/port.ts'
import type { DicomAttributes } from '../../../schemas/dicom-json.ts'
import type { MadeReport } from '../../../schemas/documents.ts'
import type { PatientIdentity } from '../../../schemas/patient.ts'
import type { Feedback, Instance, Prediction, StudyAssessed } from '../../../schemas/topics.ts'
import type { Systems } from '../formats/fhir/names.ts'
import type { Language } from '../texts/texts.ts'
import type { Threads } from '../threads.ts'

/** What a model said of an image, and what a person said of that. */
export interface SaidOfImage {
  prediction: Prediction
  /** The newest verdict before the study was assessed; null: none. */
  verdict: Pick<Feedback, 'verdict' | 'label' | 'at'> | null
}

export interface StudyImage {
  /** Id of the instance. */
  id: string
  /** As on the log: SOP class, instance, series, size, site … Null where it was erased, or never written down. */
  instance: Instance | null
  /** Instance Number of its header; null where it has none. */
  number: number | null
  /** Why there is no `instance`, in English words for people; null where there is one. */
  lost: string | null
  /** In production or as canary, of each model the newest that the assessment knew; by model. Empty: nothing was said. */
  said: SaidOfImage[]
}

/** An earlier examination of the same patient at this site. */
export interface EarlierResult {
  /** Id of the study. */
  study: string
  studyUid: string | null
  modality: string | null
  /** When its first image was received, ms since the epoch. */
  at: number
  /** Of its newest revision then; 0 where it was never assessed, and then there are no findings. */
  revision: number
  findings: StudyAssessed['findings']
}

export interface Predecessor {
  /** The one directly before. */
  revision: number
  /** Of each format and part the newest: that of an older revision where a format was refused since. Newest first. */
  reports: EarlierReport[]
}

/** Its SOP Instance UID is derived: `uids.report(study, revision, format, part)`. */
export interface EarlierReport extends MadeReport {
  /** That it is of. */
  revision: number
}

/** A code of a coding scheme (PS3.3 8.8). */
export interface Code {
  /** Coding Scheme Designator: SCT, DCM, RADLEX … */
  scheme: string
  value: string
  meaning: string
}

/**
 * Everything that a report of a study says, but for pictures. Plain values: they can be handed to worker threads. The same
 * revision gives the same content, whenever it is gathered: nothing younger than the assessment is in it.
 */
export interface StudyContent {
  /** The event: revision, findings, what is missing, what changed, priority. Its `id` is the subject of the reports. */
  assessed: StudyAssessed
  /** Time of the report, ms since the epoch: when the study was assessed. Write this into files, never the clock's. */
  madeAt: number
  site: string
  /** Institution Name of the images; null where they name none. */
  institution: string | null
  /** All that the revision covers, by series, number and UID. */
  images: StudyImage[]
  /**
   * Values of the patient, study and (where they are the same for all) order, of the first image whose header can be read:
   * DICOM JSON, text as Unicode whatever character set it was in. Null where the study has no DICOM image that can.
   */
  header: DicomAttributes | null
  /**
   * Who it is: for the hospital's own systems (DICOM, FHIR, HL7). What people see obeys `showNames`. Null where nobody
   * is named, or the name was erased.
   */
  identity: PatientIdentity | null
  showNames: boolean
  /** Newest first. */
  earlier: EarlierResult[]
  /** Null for a first revision. */
  predecessor: Predecessor | null
  /** Of the labels that are in it, where one is known. */
  codes: Record<string, Code>
  language: Language
  researchUseOnly: boolean
}

export interface RenderedReport {
  /** Which, where a format gives several of a study (a picture of each image): derived from the content, ASCII. */
  part: string | null
  /** The image that it is of, where it is of one. */
  instance?: string | null
  bytes: Uint8Array
}

/** What a format may ask for while it renders. Everything is asked for once, however many formats want it. */
export interface StudyTools {
  readonly signal: AbortSignal
  /**
   * PNG (or JPEG) of an image as it is meant to be seen, or why there is none, in English words.
   * @throws RaylogError where it may be had later
   */
  preview(image: StudyImage, options: PreviewOptions): Promise<{ png: Uint8Array } | { missing: string }>
  /** PNG of what an answer rests on, over its image, or why there is none, in English words. @throws RaylogError where it may be had later */
  explanation(prediction: Prediction): Promise<{ png: Uint8Array } | { missing: string }>
  /** All elements of an image but binary ones, or why there are none. @throws RaylogError where they may be had later */
  header(image: StudyImage): Promise<{ attributes: DicomAttributes } | { missing: string }>
  /** What another format gives of this study, whether or not it is one of those that are made: empty where it gives nothing. */
  rendered(format: string): Promise<readonly RenderedReport[]>
}

export interface StudyFormat {
  /** As in the `format` field of a report event, and in the settings. */
  readonly name: string
  readonly contentType: string
  /**
   * The same content gives the same bytes, so that a redelivery stores the same object. Long work belongs into `threads`.
   * None where the study gives nothing of this kind: no mask, no DICOM image.
   * @throws RaylogError; the signal's reason when aborted
   */
  render(content: StudyContent, tools: StudyTools): Promise<readonly RenderedReport[]>
}

/** What formats are opened with, once for a process. */
export interface FormatContext {
  threads: Threads
  /** Longest side of a picture in a report, pixels. */
  previewPixels: number
  /** Pictures of images that go to the PACS of a study, at most. */
  captures: number
  /** Address of the page, as readers of a report reach it; null: no links. */
  linkBase: string | null
  /** Whether the report for people goes into those for other systems. */
  attachPdf: boolean
  /** Of the identifiers that the hospital gives. */
  systems: Systems
}

/** One file as the whole of a format. */
export const whole = (bytes: Uint8Array): readonly RenderedReport[] => [{ part: null, bytes }]
