/** POST /api/v1/notifications/test. Where notify runs: it alone knows its rules. */
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { RaylogError } from '../../schemas/errors.ts'
import { type Trial, trialShape } from './trial.ts'

/** The end of the year 9999: hours that begin then end within what a Date can say. */
const latest = Date.UTC(9999, 11, 31, 23, 59, 59)

const body = z.strictObject({
  id: z.string().min(1).max(128).describe('of a prediction, an image, a study, or a revision of one'),
  at: z.int().min(0).max(latest).optional().describe('as if it were then, ms since the epoch; now otherwise'),
})

const answer = z.object({ items: z.array(trialShape) })

/** @param test what the events of an id would send at a time */
export function addTestRoute(http: FastifyInstance, test: (id: string, at?: number) => Promise<Trial[]>): void {
  http.withTypeProvider<ZodTypeProvider>().post(
    '/api/v1/notifications/test',
    {
      schema: {
        tags: ['notifications'],
        summary: 'What an event would have sent, to whom, and why or why not; nothing is sent',
        body,
        response: { 200: answer },
      },
    },
    async ({ body: { id, at } }) => {
      const items = await test(id, at)
      if (items.length === 0) throw new RaylogError('not-found', 'There is no such event, image or study.')
      return { items }
    },
  )
}
