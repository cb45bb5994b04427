/** Studies with their counts, and one with all that is in it. */
import { z } from 'zod'
import type { StudyDoc } from '../../schemas/documents.ts'
import type { DocumentStore } from '../../storage/documents.ts'
import { problems } from '../http/problem.ts'
import { type ApiContext, type App, found, page, where } from './context.ts'
import { patientIdentity } from './patient.ts'
import {
  assessmentShape,
  deliveryShape,
  feedbackShape,
  idParams,
  instanceShape,
  listOf,
  paging,
  patientShape,
  predictionShape,
  reportShape,
  type StudyView,
  studyShape,
  word,
} from './shapes.ts'
import { lineShape, linesOf } from './worklist.ts'

const listQuery = z.object({ site: word, patient: word, modality: word, ...paging })

const detail = z.object({
  study: studyShape,
  instances: z.array(instanceShape),
  predictions: z.array(predictionShape),
  reports: z.array(reportShape),
  revisions: z.array(assessmentShape).describe('what was found in it, the newest first'),
  deliveries: z.array(deliveryShape),
  feedback: z.array(feedbackShape).describe('what people said of the predictions'),
  line: lineShape.nullable().describe('as in the worklist'),
  patient: patientShape,
  earlier: z.array(studyShape).describe("the patient's other studies, the newest first"),
  truncated: z.boolean().describe('there are more than the newest 1,000 of a kind'),
})

const tags = ['studies']
const most = 1000
const mostEarlier = 20

export function addStudyRoutes(app: App, context: ApiContext): void {
  const { documents } = context.deps
  app.get(
    '/studies',
    { schema: { tags, summary: 'List', querystring: listQuery, response: { 200: listOf(studyShape), ...problems } } },
    async ({ query: { cursor, limit, ...fields } }) => {
      const { items, next } = await documents.find('studies', { where: where(fields), ...page({ cursor, limit }) })
      return { items: await withCounts(documents, items), next }
    },
  )
  app.get(
    '/studies/:id',
    { schema: { tags, summary: 'One, with what is in it', params: idParams, response: { 200: detail, ...problems } } },
    async request => {
      const doc = found(await documents.get('studies', request.params.id), 'study')
      context.audit.viewed(request, { study: doc.id, patient: doc.patient, sopClass: '' })
      const query = { where: { study: doc.id }, limit: most }
      const { patient } = doc
      const [instances, predictions, reports, assessments, deliveries, feedback, line, earlier] = await Promise.all([
        documents.find('instances', query),
        documents.find('predictions', query),
        documents.find('reports', query),
        documents.find('assessments', query),
        documents.find('deliveries', query),
        documents.find('feedback', query),
        documents.get('worklist', doc.id),
        patient === null ? { items: [] } : documents.find('studies', { where: { patient }, limit: mostEarlier + 1 }),
      ])
      const others = earlier.items.filter(({ id }) => id !== doc.id).slice(0, mostEarlier)
      const [study, ...counted] = await withCounts(documents, [doc, ...others])
      const [shown] = await linesOf(context, line ? [line] : [])
      return {
        study: found(study, 'study'),
        instances: instances.items,
        predictions: predictions.items,
        reports: reports.items,
        revisions: assessments.items.toSorted((a, b) => b.revision - a.revision),
        deliveries: deliveries.items,
        feedback: feedback.items,
        line: shown ?? null,
        patient: await patientIdentity(context, doc),
        earlier: counted,
        truncated: [instances, predictions, reports, deliveries].some(({ next }) => next !== null),
      }
    },
  )
}

/** One query a kind for the whole page, not one a study. */
async function withCounts(documents: DocumentStore, docs: readonly StudyDoc[]): Promise<StudyView[]> {
  if (docs.length === 0) return []
  const filter = { study: { in: docs.map(({ id }) => id) } }
  const [instances, predictions, reports] = await Promise.all([
    documents.countBy('instances', 'study', filter),
    documents.countBy('predictions', 'study', filter),
    documents.countBy('reports', 'study', filter),
  ])
  return docs.map(doc => ({
    ...doc,
    instances: instances[doc.id] ?? 0,
    predictions: predictions[doc.id] ?? 0,
    reports: reports[doc.id] ?? 0,
  }))
}
