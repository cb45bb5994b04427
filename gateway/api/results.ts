/** Predictions and reports. */
import { z } from 'zod'
import { problems } from '../http/problem.ts'
import { binary, sendObject } from './bytes.ts'
import { type ApiContext, type App, found, page, where } from './context.ts'
import { idParams, listOf, paging, predictionShape, reportShape, word } from './shapes.ts'

const predictionQuery = z.object({
  instance: word,
  study: word,
  model: word.describe('name'),
  label: word,
  role: z
    .enum(['production', 'shadow', 'canary', 'replay'])
    .optional()
    .describe('what replays said is listed only where it is asked for'),
  replay: word.describe('id of a replay'),
  site: word,
  ...paging,
})

const reportQuery = z.object({
  instance: word,
  study: word,
  prediction: word,
  format: word,
  outcome: z.enum(['made', 'sent', 'refused', 'superseded']).optional(),
  site: word,
  ...paging,
})

export function addPredictionRoutes(app: App, { deps: { documents, objects } }: ApiContext): void {
  const tags = ['predictions']
  const get = async (id: string) =>
    found((await documents.get('predictions', id)) ?? (await documents.get('replayed', id)), 'prediction')
  app.get(
    '/predictions',
    {
      schema: {
        tags,
        summary: 'List',
        querystring: predictionQuery,
        response: { 200: listOf(predictionShape), ...problems },
      },
    },
    ({ query: { cursor, limit, model, role, replay, ...fields } }) => {
      const named = { ...fields, 'model.name': model }
      if (role === 'replay' || replay !== undefined)
        return documents.find('replayed', { where: where({ ...named, replay }), ...page({ cursor, limit }) })
      return documents.find('predictions', { where: where({ ...named, role }), ...page({ cursor, limit }) })
    },
  )
  app.get(
    '/predictions/:id',
    { schema: { tags, summary: 'One', params: idParams, response: { 200: predictionShape, ...problems } } },
    ({ params }) => get(params.id),
  )
  app.get(
    '/predictions/:id/explanation',
    {
      schema: {
        tags,
        summary: 'What the model looked at, where it says so',
        params: idParams,
        response: { 200: binary('the picture', 'image/png'), ...problems },
      },
    },
    async (request, reply) => {
      const { id, explanation } = await get(request.params.id)
      const key = found(explanation ?? undefined, 'explanation of this prediction')
      const sending = { key, contentType: 'image/png', fileName: `${id}.png`, disposition: 'inline' } as const
      return sendObject(request, reply, objects, sending)
    },
  )
}

const reportTypes: Readonly<Record<string, { contentType: string; extension: string }>> = {
  pdf: { contentType: 'application/pdf', extension: 'pdf' },
  sr: { contentType: 'application/dicom', extension: 'dcm' },
  fhir: { contentType: 'application/fhir+json', extension: 'json' },
}
const otherReport = { contentType: 'application/octet-stream', extension: 'bin' }

export function addReportRoutes(app: App, { deps: { documents, objects } }: ApiContext): void {
  const tags = ['reports']
  const get = async (id: string) => found(await documents.get('reports', id), 'report')
  app.get(
    '/reports',
    {
      schema: { tags, summary: 'List', querystring: reportQuery, response: { 200: listOf(reportShape), ...problems } },
    },
    ({ query: { cursor, limit, ...fields } }) =>
      documents.find('reports', { where: where(fields), ...page({ cursor, limit }) }),
  )
  app.get(
    '/reports/:id',
    { schema: { tags, summary: 'One', params: idParams, response: { 200: reportShape, ...problems } } },
    ({ params }) => get(params.id),
  )
  app.get(
    '/reports/:id/object',
    {
      schema: {
        tags,
        summary: 'The report itself; a PDF opens in the browser',
        params: idParams,
        response: { 200: binary('the report', 'application/pdf'), ...problems },
      },
    },
    async (request, reply) => {
      const { id, object, format } = await get(request.params.id)
      const { contentType, extension } = reportTypes[format] ?? otherReport
      return sendObject(request, reply, objects, {
        key: found(object ?? undefined, 'object of this report'),
        contentType,
        fileName: `${id}.${extension}`,
        disposition: format === 'pdf' ? 'inline' : 'attachment',
      })
    },
  )
}
