/** Studies with their counts, and one with all that is in it. */
import { z } from 'zod'
import type { StudyDoc } from '../../schemas/documents.ts'
import type { DocumentStore } from '../../storage/documents.ts'
import { problems } from '../http/problem.ts'
import { type ApiContext, type App, found, page, where } from './context.ts'
import {
  idParams,
  instanceShape,
  listOf,
  paging,
  predictionShape,
  reportShape,
  type StudyView,
  studyShape,
  word,
} from './shapes.ts'

const listQuery = z.object({ site: word, patient: word, modality: word, ...paging })

const detail = z.object({
  study: studyShape,
  instances: z.array(instanceShape),
  predictions: z.array(predictionShape),
  reports: z.array(reportShape),
  truncated: z.boolean().describe('there are more than the newest 1,000 of a kind'),
})

const tags = ['studies']
const most = 1000

export function addStudyRoutes(app: App, { deps: { documents } }: ApiContext): void {
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
    async ({ params }) => {
      const doc = found(await documents.get('studies', params.id), 'study')
      const query = { where: { study: doc.id }, limit: most }
      const [instances, predictions, reports] = await Promise.all([
        documents.find('instances', query),
        documents.find('predictions', query),
        documents.find('reports', query),
      ])
      const [study] = await withCounts(documents, [doc])
      return {
        study: found(study, 'study'),
        instances: instances.items,
        predictions: predictions.items,
        reports: reports.items,
        truncated: [instances, predictions, reports].some(({ next }) => next !== null),
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
