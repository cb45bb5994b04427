/** What became of an instance, in order of time: for whoever asks why there is no result. */
import { z } from 'zod'
import type { Ports } from '../../kafka/ports.ts'
import type { DeliveryDoc, ParkedDoc } from '../../schemas/documents.ts'
import { reportPlace, reportWords } from '../../schemas/report-types.ts'
import type { Instance, Prediction, Report } from '../../schemas/topics.ts'
import type { DocumentStore } from '../../storage/documents.ts'
import { explainCode, instanceShape, routeShape } from './shapes.ts'

const stepShape = z.object({
  at: z.int().describe('ms since the epoch'),
  stage: z.string(),
  what: z.enum(['received', 'predicted', 'parked', 'reported', 'delivered']),
  id: z.string(),
  text: z.string(),
  code: z.string().nullable(),
  remedy: z.string().nullable(),
})
type Step = z.infer<typeof stepShape>

export const explanationShape = z.object({
  instance: z.string(),
  received: z.object({
    at: z.int(),
    source: instanceShape.shape.source,
    object: z.object({ bytes: z.int(), contentType: z.string() }),
  }),
  routes: z.array(routeShape),
  steps: z.array(stepShape).describe('oldest first'),
})
type Explanation = z.infer<typeof explanationShape>

const most = 1000

export interface History {
  predictions: Prediction[]
  reports: Report[]
  deliveries: DeliveryDoc[]
  parked: ParkedDoc[]
}

/** Everything that was written of an instance; newest first, at most 1,000 of a kind. */
export async function historyOf(documents: DocumentStore, { id }: Instance): Promise<History> {
  const [predictions, reports] = await Promise.all([
    documents.find('predictions', { where: { instance: id }, limit: most }),
    documents.find('reports', { where: { instance: id }, limit: most }),
  ])
  const about = [id, ...predictions.items.map(item => item.id), ...reports.items.map(item => item.id)].slice(0, most)
  const subject = { in: about }
  const [deliveries, parked] = await Promise.all([
    documents.find('deliveries', { where: { subject }, limit: most }),
    documents.find('parked', { where: { subject }, limit: most }),
  ])
  return { predictions: predictions.items, reports: reports.items, deliveries: deliveries.items, parked: parked.items }
}

export async function explainInstance(
  { documents, models }: Pick<Ports, 'documents' | 'models'>,
  instance: Instance,
): Promise<Explanation> {
  const history = await historyOf(documents, instance)
  const { source, object, receivedAt } = instance
  const steps = [
    receivedStep(instance),
    ...history.predictions.map(predictedStep),
    ...history.parked.map(parkedStep),
    ...history.reports.map(reportedStep),
    ...history.deliveries.map(deliveredStep),
  ]
  return {
    instance: instance.id,
    received: { at: receivedAt, source, object: { bytes: object.bytes, contentType: object.contentType } },
    routes: models.routes(instance),
    steps: steps.sort((a, b) => a.at - b.at),
  }
}

const fine = { code: null, remedy: null }

function receivedStep({ id, source, object, receivedAt }: Instance): Step {
  const text = `${object.bytes} bytes of ${object.contentType} stored`
  return { at: receivedAt, stage: source.kind, what: 'received', id, text, ...fine }
}

function predictedStep({ id, model, role, label, score, predictedAt }: Prediction): Step {
  const text = `${model.name}@${model.version} (${role}): ${label}, score ${score.toFixed(3)}`
  return { at: predictedAt, stage: 'infer', what: 'predicted', id, text, ...fine }
}

function parkedStep({ id, stage, code, message, attempts, state, at }: ParkedDoc): Step {
  const { title, remedy } = explainCode(code)
  const text = `${title}: ${message} (attempts: ${attempts}; now ${state})`
  return { at, stage, what: 'parked', id, text, code, remedy }
}

function reportedStep({ id, format, outcome, object, destination, at }: Report): Step {
  const where = reportPlace({ destination, object })
  return {
    at,
    stage: 'report',
    what: 'reported',
    id,
    text: [`${reportWords(format)} ${outcome}`, ...(where === null ? [] : [where])].join(', '),
    ...fine,
  }
}

function deliveredStep(delivery: DeliveryDoc): Step {
  const { id, channel, state, attempts, code, message, claimedAt, finishedAt } = delivery
  const text = `${channel} ${state} (attempts: ${attempts})${message === null ? '' : `: ${message}`}`
  const remedy = code === null ? null : explainCode(code).remedy
  return { at: finishedAt ?? claimedAt, stage: 'notify', what: 'delivered', id, text, code, remedy }
}
