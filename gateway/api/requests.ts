/** What a person asks for with a study: on the log, so that any process that assesses studies acts. */
import { z } from 'zod'
import type { Publish } from '../../kafka/stage.ts'
import { tokenHolder } from '../../schemas/audit.ts'
import { ids } from '../../schemas/ids.ts'
import { type StudyRequest, topics } from '../../schemas/topics.ts'
import { problems } from '../http/problem.ts'
import { type ApiContext, type App, found } from './context.ts'
import { idParams, requestShape } from './shapes.ts'

const actor = tokenHolder

const routes = {
  complete: 'No more images come: assess it now; while its answers are waited for, wait no longer',
  reviewed: 'Its newest revision was seen: off the worklist, until there is another',
} as const

const expectBody = z
  .strictObject({
    studyUid: z
      .string()
      .regex(/^[0-9.]{1,64}$/)
      .describe('Study Instance UID'),
    images: z.int().min(1).max(1_000_000).optional(),
    priority: z.enum(['routine', 'urgent', 'stat']).optional().describe('of the order: it raises that of the study'),
    source: z.enum(['order', 'pacs']).default('order').describe('who says so: what a PACS has counts before the rest'),
    site: z.string().min(1).max(64).optional().describe("whose study it is; the process' own site otherwise"),
  })
  .refine(({ images, priority }) => images !== undefined || priority !== undefined, 'say images, priority or both')

export function addRequestRoutes(
  app: App,
  { deps: { documents }, clock }: ApiContext,
  publish: Publish<typeof topics.requests>,
  ownSite: string,
): void {
  app.post(
    '/expected',
    {
      schema: {
        tags: ['studies'],
        summary: 'How many images a study is to have, and how urgent its order is, said before they come or meanwhile',
        body: expectBody,
        response: { 200: requestShape, ...problems },
      },
    },
    async ({ body: { studyUid, images = null, priority = null, source, site = ownSite } }) => {
      const study = ids.study(site, studyUid)
      const event: StudyRequest = {
        id: ids.request(study, 'expect', actor, priority === null ? (images ?? 0) : `${images ?? ''} ${priority}`),
        ...{ study, what: 'expect', images, source, priority, revision: null, actor, at: clock.now() },
      }
      await publish(topics.requests, event)
      return event
    },
  )
  for (const what of ['complete', 'reviewed'] as const) {
    app.post(
      `/studies/:id/${what}`,
      {
        schema: {
          tags: ['studies'],
          summary: routes[what],
          params: idParams,
          response: { 200: requestShape, ...problems },
        },
      },
      async ({ params }) => {
        const study = found(await documents.get('studies', params.id), 'study').id
        const revision = (await documents.get('worklist', study))?.revision ?? 0
        const event: StudyRequest = {
          id: ids.request(study, what, actor, revision),
          ...{ study, what, revision, actor, images: null, source: null, priority: null, at: clock.now() },
        }
        await publish(topics.requests, event)
        return event
      },
    )
  }
}
