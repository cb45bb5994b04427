/** Predictions and reports. */
import { z } from 'zod'
import { reportType } from '../../schemas/report-types.ts'
import type { Report } from '../../schemas/topics.ts'
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
        description:
          'The image in colours where it speaks for the positive label. `not-found` where the model gives none, and of what replays said.',
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

const studyReports = z.object({
  items: z.array(
    reportShape
      .pick({
        id: true,
        format: true,
        revision: true,
        outcome: true,
        prediction: true,
        instance: true,
        bytes: true,
        at: true,
      })
      .extend({
        contentType: z.string(),
        fileName: z.string(),
        href: z.string().nullable().describe('where it is; null: there is no file'),
      }),
  ),
})

/** Of one study, at most: the newest. */
const mostOfStudy = 1000

/** Says what it is of, and names nobody. */
const fileNameOf = ({ id, study, revision, format, prediction }: Report): string => {
  const { extension } = reportType(format)
  return prediction === null
    ? `${study}-r${revision ?? 0}-${format}-${id.slice(-6)}.${extension}`
    : `${id}.${extension}`
}

export function addReportRoutes(app: App, { deps: { documents, objects }, audit }: ApiContext): void {
  const tags = ['reports']
  const get = async (id: string) => found(await documents.get('reports', id), 'report')
  app.get(
    '/studies/:id/reports',
    {
      schema: {
        tags,
        summary: 'Of a study and of its images, the newest revision first',
        params: idParams,
        response: { 200: studyReports, ...problems },
      },
    },
    async ({ params: { id } }) => {
      const { items } = await documents.find('reports', { where: { study: id }, limit: mostOfStudy })
      if (items.length === 0) found(await documents.get('studies', id), 'study')
      const made = items.filter(({ destination }) => destination === 'store')
      return { items: made.toSorted((a, b) => (b.revision ?? 0) - (a.revision ?? 0)).map(listed) }
    },
  )
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
      const report = await get(request.params.id)
      const key = found(report.object ?? undefined, 'object of this report')
      const { contentType, inline } = reportType(report.format)
      const study = await documents.get('studies', report.study)
      audit.exported(request, reply, {
        study: study?.studyUid ?? report.study,
        patient: study?.patient ?? null,
        report: report.format,
      })
      const disposition = inline ? 'inline' : 'attachment'
      return sendObject(request, reply, objects, { key, contentType, fileName: fileNameOf(report), disposition })
    },
  )
}

const listed = (report: Report) => ({
  ...report,
  contentType: reportType(report.format).contentType,
  fileName: fileNameOf(report),
  href: report.object === null ? null : `/api/v1/reports/${encodeURIComponent(report.id)}/object`,
})
