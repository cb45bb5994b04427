/** Images: the port that says what some bytes are and makes pictures of stored objects for people. */
import type { Readable } from 'node:stream'
import type { IndexedValues } from '../../schemas/dicom-index.ts'
import type { DicomAttributes } from '../../schemas/dicom-json.ts'
import type { PatientIdentity } from '../../schemas/patient.ts'
import type { Instance, StoredObject } from '../../schemas/topics.ts'

/** What the header of an image says; goes on the log, so it holds no names. */
export type ImageFacts = Pick<
  Instance,
  | 'dicom'
  | 'modality'
  | 'bodyPart'
  | 'view'
  | 'laterality'
  | 'studyInstances'
  | 'rows'
  | 'columns'
  | 'frames'
  | 'photometric'
  | 'equipment'
  | 'acquiredAt'
> & { contentType: string }

export interface Described {
  facts: ImageFacts
  /** Null for a plain image. */
  patient: PatientIdentity | null
}

/** What queries are answered from. Holds names: to be sealed before it is kept. */
export interface HeaderAttributes {
  values: IndexedValues
  patient: PatientIdentity
}

export interface PreviewOptions {
  /** 1-based. */
  frame?: number
  /** Longest side, pixels; never enlarged. */
  size?: number
  /** Centre and width in modality units (after rescale), instead of the image's own window. */
  window?: { center: number; width: number; shape?: 'linear' | 'linear-exact' | 'sigmoid' }
  /** The picture fits within, pixels; never enlarged. Instead of `size`. */
  box?: { width: number; height: number }
  /** PNG unless it says otherwise. */
  format?: 'png' | 'jpeg'
  /** Of JPEG, 1..100; default 90. */
  quality?: number
}

export type ReadableObject = Pick<StoredObject, 'key' | 'sha256' | 'bytes'>

/** One binary value of an object. */
export interface BulkValue {
  bytes: number
  /** Little endian. @param to not included */
  read(from?: number, to?: number): Readable
}

export interface DicomFrames {
  count: number
  transferSyntax: string
  /** Whether each frame stands in fragments of its own, compressed mostly. */
  encapsulated: boolean
  littleEndian: boolean
  /** Frames are counted from 1. @throws RaylogError not-found for one that is not there, from all that follow */
  has(frame: number): boolean
  /** Of `stored`. */
  bytesOf(frame: number): number
  /** As it is stored, without the headers of its fragments. */
  stored(frame: number): Readable
  /** Samples of Bits Allocated, little endian, colour by pixel. @throws RaylogError as Images.preview */
  decoded(frame: number): Promise<Buffer>
}

/** A stored object in another transfer syntax than its own. */
export interface Transcoded {
  transferSyntax: string
  /** Of the data set; undefined where it is deflated, and nobody knows before it is. */
  bytes: number | undefined
  /** Preamble and file meta information, for a file of it. */
  prefix: Buffer
  /** Only once. @throws RaylogError decode-failed, truncated for a frame that is damaged, in the middle */
  dataSet: AsyncIterable<Buffer>
}

/** Stored DICOM objects, read by parts. @throws RaylogError object-missing, malformed-dicom, truncated, too-large */
export interface DicomReader {
  /** All elements in the DICOM JSON model. @param bulkUri what refers to a value that is not in it, by the value's path */
  header(
    object: ReadableObject,
    bulkUri: (path: string) => string,
  ): Promise<{ attributes: DicomAttributes; transferSyntax: string }>
  /** Undefined where there is none of that path, or it is encapsulated. */
  bulk(object: ReadableObject, path: string): Promise<BulkValue | undefined>
  /** @throws RaylogError no-pixels, decode-failed */
  frames(object: ReadableObject): Promise<DicomFrames>
  /** The transfer syntaxes that an object of this one can be given in, the best first; none where it is not decoded. */
  transcodesTo(transferSyntax: string): readonly string[]
  /**
   * Pixels are decoded in threads, a frame at a time. What was lossy says so (Lossy Image Compression); nothing is compressed.
   * @param to one of `transcodesTo`
   * @throws RaylogError busy, decode-failed, unknown-transfer-syntax, video-not-decoded, before the first byte
   */
  transcode(object: ReadableObject, to: string): Promise<Transcoded>
}

/** What de-identification did, without what was there. */
export interface DeidentifyReport {
  options: readonly string[]
  changes: readonly {
    /** Eight hexadecimal digits, or `private`. */
    tag: string
    name: string
    action: 'remove' | 'empty' | 'dummy' | 'uid' | 'shift' | 'words' | 'content'
    /** Elements, those within sequences counted. */
    count: number
  }[]
  pixels: 'none' | 'untouched' | 'known-clean' | 'regions' | 'blanked' | 'overlays-removed'
}

export interface Deidentified {
  bytes: Uint8Array
  report: DeidentifyReport
  /** As they were, for a sender that must hear whether it sent what it said. Null for a plain image. */
  original: { sopClass: string; sopInstance: string; study: string } | null
}

export interface Images {
  readonly dicom: DicomReader
  /**
   * Reads the header from the first bytes of an object (the whole of it, or as much as stands before the pixels).
   * @param head first bytes; DICOM with or without preamble and file meta
   * @param complete whether `head` is all there is
   * @throws RaylogError not-an-image, malformed-dicom, truncated, too-large
   */
  describe(head: Uint8Array, complete: boolean): Promise<Described>
  /** Of DICOM only; parameters and errors as `describe`. */
  attributes(head: Uint8Array, complete: boolean): Promise<HeaderAttributes>
  /** PNG (or JPEG), 8 bit, grey or RGB, as the image is meant to be seen. Cached. @throws RaylogError as Models.predict, but for the model's own */
  preview(object: Pick<StoredObject, 'key' | 'sha256' | 'contentType'>, options?: PreviewOptions): Promise<Buffer>
  /**
   * Whether the settings say that images of this source are de-identified before anything of them is kept; undefined where
   * not, and otherwise the size up to which that is done.
   */
  deidentifies(source: Instance['source']): { maxBytes: number } | undefined
  /** Size up to which an object may be de-identified, bytes. */
  readonly maxDeidentified: number
  /**
   * By PS3.15 Annex E as the settings say, in a thread of its own.
   * @param bytes a whole object; given away
   * @param site whose patient it is: dates and pseudonyms hang on it; the installation's unless given
   * @throws RaylogError not-deidentified, pixels-not-cleaned, too-large, worker-timeout, worker-died, as describe, decode-failed
   */
  deidentify(bytes: Uint8Array, site?: string): Promise<Deidentified>
  close(): Promise<void>
}
