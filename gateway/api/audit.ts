/** Who saw or did what, newest first. */
import { z } from 'zod'
import { problems } from '../http/problem.ts'
import { type ApiContext, type App, page, where } from './context.ts'
import { auditShape, listOf, paging, word } from './shapes.ts'

const time = z.coerce
  .number()
  .int()
  .min(0)
  .or(z.iso.datetime({ offset: true }).transform(text => Date.parse(text)))

const query = z.object({
  action: word,
  actor: word.describe('an AE title, a person, a process'),
  object: word,
  outcome: z.enum(['success', 'failure']).optional(),
  address: word,
  patient: word.describe('pseudonym'),
  study: word.describe('Study Instance UID'),
  from: time.optional().describe('ISO 8601 with a zone, or ms since the epoch'),
  to: time.optional().describe('not included'),
  ...paging,
})

export function addAuditRoutes(app: App, { deps: { documents }, audit }: ApiContext): void {
  app.get(
    '/audit',
    {
      schema: {
        ...{ tags: ['audit'], summary: 'Associations, transfers, queries, exports: who, what, from where' },
        querystring: query,
        response: { 200: listOf(auditShape), ...problems },
      },
    },
    async request => {
      audit.read(request)
      const { cursor, limit, from, to, patient, study, ...fields } = request.query
      const filter = {
        ...where({ ...fields, 'detail.patient': patient, 'detail.study': study }),
        ...(from === undefined && to === undefined
          ? {}
          : { at: { ...(from === undefined ? {} : { gte: from }), ...(to === undefined ? {} : { lt: to }) } }),
      }
      return await documents.find('audit', { where: filter, ...page({ cursor, limit }) })
    },
  )
}
