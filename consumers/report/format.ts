/** ReportFormat: the port for the ways one image's result is written down. Of whole studies: study/format.ts. */
import type { PatientIdentity } from '../../schemas/patient.ts'
import type { Instance, Prediction } from '../../schemas/topics.ts'
import type { Language } from './texts/texts.ts'

/** Where and how the image was made, as far as its header tells. */
export type ImageContext = Pick<
  Instance,
  'dicom' | 'modality' | 'bodyPart' | 'view' | 'rows' | 'columns' | 'frames' | 'equipment' | 'acquiredAt'
>

/** Everything that a report says. Plain values: it is handed to worker threads. */
export interface ReportContent {
  prediction: Prediction
  /** Null where the image cannot be read any more. */
  image: ImageContext | null
  /** PNG as the image is meant to be seen, of the frame that the model looked at, or why there is none, in words. */
  preview: { png: Uint8Array } | { missing: string }
  /** Null where names are not shown, or not known. */
  patient: Pick<PatientIdentity, 'name' | 'birthDate' | 'sex'> | null
  researchUseOnly: boolean
  language: Language
}

export interface ReportFormat {
  /** As in the `format` field of a report event. */
  readonly name: string
  readonly contentType: string
  /**
   * The same content gives the same bytes, so that a redelivery stores the same object.
   * @throws RaylogError worker-died, worker-timeout; the signal's reason when aborted
   */
  render(content: ReportContent, signal: AbortSignal): Promise<Buffer>
}
