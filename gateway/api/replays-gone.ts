/** Which images of a replay are gone: those whose object was erased since. */
import { z } from 'zod'
import type { Gone } from '../../schemas/replay.ts'
import type { DocumentStore } from '../../storage/documents.ts'
import { problems } from '../http/problem.ts'
import { type App, found, page } from './context.ts'
import { idParams, listOf, paging } from './shapes.ts'

export const goneShape = z.object({
  ...{ instance: z.string(), study: z.string(), site: z.string(), modality: z.string().nullable() },
  object: z.string().describe('key of the object that is not there any more'),
  receivedAt: z.int().describe('ms since the epoch'),
}) satisfies z.ZodType<Gone>

export function addGoneRoute(app: App, documents: DocumentStore): void {
  app.get(
    '/replays/:id/gone',
    {
      schema: {
        ...{ tags: ['replays'], summary: 'Images whose object was erased since, oldest first' },
        params: idParams,
        querystring: z.object(paging),
        response: { 200: listOf(goneShape), ...problems },
      },
    },
    async ({ params: { id }, query }) => {
      found(await documents.get('replays', id), 'replay')
      const { items, next } = await documents.find('replayGone', {
        ...{ where: { replay: id }, order: 'oldest' },
        ...page(query),
      })
      return { items: items.map(({ id: _id, replay: _replay, ...gone }) => gone), next }
    },
  )
}
