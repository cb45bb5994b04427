/** The JSON shapes of the API. Those of events come from their Avro schemas; documents are checked against their types. */
import { z } from 'zod'
import { modelManifest } from '../../models/manifest.ts'
import type { DeliveryDoc, ParkedDoc, StudyDoc } from '../../schemas/documents.ts'
import { errorTable, isErrorCode } from '../../schemas/errors.ts'
import { topics } from '../../schemas/topics.ts'
import { recordOf } from './avro-zod.ts'

const at = z.int().describe('ms since the epoch')

const wholeInstance = recordOf(topics.instances.schema)
/** What de-identification did is as long as all the rest: it is told of one alone. */
export const instanceShape = wholeInstance.omit({ deidentified: true })
export const instanceAlone = instanceShape.extend({ deidentified: wholeInstance.shape.deidentified })
export const predictionShape = recordOf(topics.predictions.schema)
export const reportShape = recordOf(topics.reports.schema)
export const auditShape = recordOf(topics.audit.schema)
export const assessmentShape = recordOf(topics.studies.schema)
export const requestShape = recordOf(topics.requests.schema)
export const feedbackShape = recordOf(topics.feedback.schema)
const modelVersionShape = predictionShape.shape.model

export const routeShape = z.object({ model: modelVersionShape, accepted: z.boolean(), reason: z.string() })

export const deliveryShape = z.object({
  id: z.string(),
  subject: z.string(),
  study: z.string(),
  channel: z.string(),
  destination: z.string(),
  state: z.enum(['claimed', 'sent', 'failed']),
  attempts: z.int(),
  code: z.string().nullable(),
  message: z.string().nullable(),
  claimedAt: at,
  finishedAt: at.nullable(),
}) satisfies z.ZodType<DeliveryDoc>

const studyDocShape = z.object({
  id: z.string(),
  site: z.string(),
  studyUid: z.string().nullable(),
  patient: z.string().nullable().describe('pseudonym'),
  modality: z.string().nullable(),
  bodyPart: z.string().nullable(),
  firstAt: at,
  lastAt: at,
}) satisfies z.ZodType<StudyDoc>

export const studyShape = studyDocShape.extend({ instances: z.int(), predictions: z.int(), reports: z.int() })
export type StudyView = z.infer<typeof studyShape>

export const parkedShape = recordOf(topics.parked.schema)
  .omit({ value: true })
  .extend({ title: z.string(), remedy: z.string(), state: z.enum(['parked', 'retried', 'dropped']) })
export type ParkedView = z.infer<typeof parkedShape>

export const modelShape = z.object({
  manifest: modelManifest,
  ref: modelVersionShape,
  state: z.enum(['loading', 'ready', 'failed']),
  reason: z.string().nullable(),
  standby: z.literal(true).optional().describe('loaded, and not used for what comes in'),
})

/** What a code of the table means to people; a code of another version of Raylog is told as it is. */
export function explainCode(code: string): { title: string; remedy: string } {
  return isErrorCode(code) ? errorTable[code] : { title: code, remedy: 'See the message.' }
}

/** A parked entry for people: without the record itself, which may be large. */
export function parkedView({ value: _value, ...doc }: ParkedDoc): ParkedView {
  const { title, remedy } = explainCode(doc.code)
  return { ...doc, title, remedy }
}

/** `name` only where the settings show names. */
export const patientShape = z.object({ pseudonym: z.string(), name: z.string().optional() }).nullable()

export const listOf = <T extends z.ZodType>(item: T) =>
  z.object({ items: z.array(item), next: z.string().nullable().describe('cursor of what follows; null at the end') })

/** Query fields that every list takes. */
export const paging = {
  cursor: z.string().max(1024).optional().describe('`next` of the page before'),
  limit: z.coerce.number().int().min(1).max(1000).default(50),
}

export const idParams = z.object({ id: z.string().min(1).max(128) })
export const word = z.string().min(1).max(256).optional()
