/** What replays and retrievals have in common over HTTP: they are listed, followed, paused, gone on with and cancelled. */
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { Documents } from '../../schemas/documents.ts'
import { RaylogError } from '../../schemas/errors.ts'
import type { DocumentStore } from '../../storage/documents.ts'
import { problems } from '../http/problem.ts'
import { type App, found, page } from './context.ts'
import { idParams, listOf, paging } from './shapes.ts'

type Kind = 'replays' | 'retrievals'

export interface JobRoutes<C extends Kind, R extends { state: string }, V extends Record<string, unknown>> {
  documents: DocumentStore
  /** Of the documents, and of the path. */
  collection: C
  /** What one is called. */
  name: string
  /** Of what `viewOf` gives. */
  shape: z.ZodObject
  /** The newest term of one: who works on it, and how far it is. */
  newest(id: string): Promise<R | undefined>
  isEnded(run: R): boolean
  viewOf(doc: Documents[C], run: R | undefined): V
  /** Told when somebody has paused one, had it go on, or cancelled it. */
  changed?(request: FastifyRequest, doc: Documents[C], action: string): void
}

export const keyHeader = (name: string) =>
  z.looseObject({
    'idempotency-key': z
      .string()
      .min(8)
      .max(128)
      .optional()
      .describe(`asked for again under one key it is one ${name}`),
  })

const actions = [
  ['pause', 'pause'],
  ['resume', 'run'],
  ['cancel', 'cancel'],
] as const

/** @returns how one is seen, for what begins one */
export function addJobRoutes<C extends Kind, R extends { state: string }, V extends Record<string, unknown>>(
  app: App,
  { documents, collection, name, shape, newest, isEnded, viewOf, changed }: JobRoutes<C, R, V>,
): (doc: Documents[C]) => Promise<V> {
  const tags = [collection]
  const get = async (id: string): Promise<Documents[C]> => found(await documents.get(collection, id), name)
  const view = async (doc: Documents[C]) => viewOf(doc, await newest(doc.id))
  const response = { 200: shape, ...problems }
  app.get(
    `/${collection}`,
    {
      schema: {
        ...{ tags, summary: 'List' },
        querystring: z.object(paging),
        response: { 200: listOf(shape), ...problems },
      },
    },
    async ({ query }) => {
      const { items, next } = await documents.find(collection, page(query))
      return { items: await Promise.all(items.map(view)), next }
    },
  )
  app.get(`/${collection}/:id`, { schema: { tags, summary: 'One', params: idParams, response } }, async ({ params }) =>
    view(await get(params.id)),
  )
  for (const [action, wanted] of actions) {
    const summary = `${action} one; asked twice is asked once`
    app.post(
      `/${collection}/:id/${action}`,
      { schema: { tags, summary, params: idParams, response } },
      async request => {
        const doc = await get(request.params.id)
        const answer = await want(doc, wanted)
        if (doc.wanted !== wanted) changed?.(request, doc, action)
        return answer
      },
    )
  }

  /** What has ended stays as it is: to ask for the same again is fine, for anything else is not. */
  async function want(doc: Documents[C], wanted: Documents[C]['wanted']): Promise<V> {
    const run = await newest(doc.id)
    const ended = run && isEnded(run) ? run.state : doc.wanted === 'cancel' ? 'cancelled' : undefined
    if (ended === undefined) {
      const next = { ...doc, wanted }
      if (doc.wanted !== wanted) await documents.upsert(collection, [next])
      return viewOf(next, run)
    }
    if (wanted !== 'cancel' || ended !== 'cancelled')
      throw new RaylogError('bad-request', `The ${name} is ${ended}; it cannot be changed any more.`)
    return viewOf(doc, run)
  }

  return view
}
