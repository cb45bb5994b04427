/** Parked events: what each stage gave up on, to be tried again or let go. */
import { z } from 'zod'
import type { NewRecord } from '../../kafka/log.ts'
import type { ParkedDoc } from '../../schemas/documents.ts'
import { onlyHeader } from '../../schemas/topics/parked.ts'
import { problems } from '../http/problem.ts'
import { type ApiContext, type App, found, page, where } from './context.ts'
import { idParams, listOf, paging, parkedShape, parkedView, word } from './shapes.ts'

const listQuery = z.object({
  state: z.enum(['parked', 'retried', 'dropped']).optional(),
  stage: word,
  code: word,
  subject: word,
  ...paging,
})
const changed = z.object({
  id: z.string(),
  state: z.enum(['parked', 'retried', 'dropped']),
  changed: z.boolean().describe('false: it was no longer parked'),
})
const bulkBody = z.strictObject({ stage: word, code: word })
const bulkAnswer = z.object({ retried: z.int(), remaining: z.int() })

const mostAtOnce = 1000
const tags = ['parked']

type Settled = Exclude<ParkedDoc['state'], 'parked'>

export function addParkedRoutes(app: App, { deps: { documents, log } }: ApiContext): void {
  /** One change at a time in this process, so that a double click does not append twice. */
  let turn: Promise<unknown> = Promise.resolve()
  function inTurn<T>(act: () => Promise<T>): Promise<T> {
    const mine = turn.then(act, act)
    turn = mine.catch(() => undefined)
    return mine
  }

  /** Append first: after a crash in between it is parked still, and a second retry writes the same results again. */
  async function settle(docs: readonly ParkedDoc[], state: Settled): Promise<void> {
    if (state === 'retried') await log.append(docs.map(recordAsItWas))
    await documents.upsert(
      'parked',
      docs.map(doc => ({ ...doc, state })),
    )
  }

  const settleOne = (id: string, state: Settled) =>
    inTurn(async () => {
      const doc = found(await documents.get('parked', id), 'parked event')
      if (doc.state !== 'parked') return { id, state: doc.state, changed: false }
      await settle([doc], state)
      return { id, state, changed: true }
    })

  app.get(
    '/parked',
    { schema: { tags, summary: 'List', querystring: listQuery, response: { 200: listOf(parkedShape), ...problems } } },
    async ({ query: { cursor, limit, ...fields } }) => {
      const { items, next } = await documents.find('parked', { where: where(fields), ...page({ cursor, limit }) })
      return { items: items.map(parkedView), next }
    },
  )
  app.post(
    '/parked/:id/retry',
    {
      schema: {
        tags,
        summary: 'Hand it to its stage again',
        params: idParams,
        response: { 200: changed, ...problems },
      },
    },
    ({ params }) => settleOne(params.id, 'retried'),
  )
  app.post(
    '/parked/:id/drop',
    { schema: { tags, summary: 'Let it go', params: idParams, response: { 200: changed, ...problems } } },
    ({ params }) => settleOne(params.id, 'dropped'),
  )
  app.post(
    '/parked/retry',
    {
      schema: {
        tags,
        summary: 'Hand many to their stages again, oldest first, up to 1,000',
        body: bulkBody,
        response: { 200: bulkAnswer, ...problems },
      },
    },
    ({ body }) =>
      inTurn(async () => {
        const filter = where({ ...body, state: 'parked' })
        const { items } = await documents.find('parked', { where: filter, order: 'oldest', limit: mostAtOnce })
        // Counted before: what fails again is parked anew, and must not make a caller who asks until 0 go on for ever.
        const remaining = (await documents.count('parked', filter)) - items.length
        if (items.length > 0) await settle(items, 'retried')
        return { retried: items.length, remaining: Math.max(0, remaining) }
      }),
  )
}

/** For the stage that gave up on it alone: the others have handled it. */
function recordAsItWas({ topic, key, value, headers, stage }: ParkedDoc): NewRecord {
  return { topic, key, value: Buffer.from(value, 'base64'), headers: { ...headers, [onlyHeader]: stage } }
}
