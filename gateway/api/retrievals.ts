/** Retrievals over HTTP: start, follow, pause, go on, cancel. What identifies a patient is sealed at once, and never told again. */
import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { RaylogError } from '../../schemas/errors.ts'
import { ids } from '../../schemas/ids.ts'
import type { Peer } from '../../schemas/peers.ts'
import {
  isRetrievalEnded,
  type RetrievalDoc,
  type RetrievalRequest,
  type RetrievalRunDoc,
  retrievalRequest,
  retrievalStates,
} from '../../schemas/retrieval.ts'
import { problems } from '../http/problem.ts'
import { type ApiContext, type App, found, page } from './context.ts'
import { idParams, listOf, paging } from './shapes.ts'

const shape = z.object({
  id: z.string(),
  peer: z.string(),
  how: z.string(),
  state: z
    .enum(retrievalStates)
    .or(z.literal('queued'))
    .describe('queued: nobody works on it yet; waiting: for its hours'),
  asked: z.object({ studies: z.int(), accessionNumbers: z.int(), priors: z.boolean() }),
  ratePerSecond: z.number().nullable(),
  hours: z.object({ from: z.string(), to: z.string() }).nullable(),
  studies: z.array(
    z.object({
      uid: z.string(),
      state: z.enum(['waiting', 'done', 'failed']),
      expected: z.int().nullable().describe('instances that the peer has of it; null: not asked yet'),
      here: z.int(),
      code: z.string().nullable(),
    }),
  ),
  unknown: z.int().describe('accession numbers that the peer knows nothing of'),
  received: z.int().describe('images that came'),
  createdAt: z.int(),
  updatedAt: z.int().nullable(),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
})
export type RetrievalView = z.infer<typeof shape>

const tags = ['retrievals']
const keyHeader = z.looseObject({
  'idempotency-key': z
    .string()
    .min(8)
    .max(128)
    .optional()
    .describe('asked for again under one key it is one retrieval'),
})

export function addRetrievalRoutes(app: App, { deps, clock }: ApiContext, peers: readonly Peer[]): void {
  const { documents, secrets } = deps
  const get = async (id: string) => found(await documents.get('retrievals', id), 'retrieval')
  const newest = async (id: string): Promise<RetrievalRunDoc | undefined> => {
    const { items } = await documents.find('retrievalRuns', { where: { retrieval: id }, order: 'newest', limit: 1 })
    return items[0]
  }
  const view = async (doc: RetrievalDoc) => viewOf(doc, await newest(doc.id))

  app.post(
    '/retrievals',
    {
      schema: {
        ...{ tags, summary: 'Pull studies from a peer' },
        headers: keyHeader,
        body: retrievalRequest,
        response: { 201: shape, ...problems },
      },
    },
    async ({ body, headers }, reply) => {
      if (!peers.some(({ name }) => name === body.peer))
        throw new RaylogError('bad-request', `There is no peer "${body.peer}" in the settings.`)
      const doc = docOf(body, ids.retrieval(headers['idempotency-key'] ?? randomUUID()))
      const kept = (await documents.insert('retrievals', doc)) ? doc : await get(doc.id)
      return reply.code(201).send(await view(kept))
    },
  )
  app.get(
    '/retrievals',
    {
      schema: {
        ...{ tags, summary: 'List' },
        querystring: z.object(paging),
        response: { 200: listOf(shape), ...problems },
      },
    },
    async ({ query }) => {
      const { items, next } = await documents.find('retrievals', page(query))
      return { items: await Promise.all(items.map(view)), next }
    },
  )
  app.get(
    '/retrievals/:id',
    { schema: { tags, summary: 'One', params: idParams, response: { 200: shape, ...problems } } },
    async ({ params }) => view(await get(params.id)),
  )
  for (const [action, wanted] of [
    ['pause', 'pause'],
    ['resume', 'run'],
    ['cancel', 'cancel'],
  ] as const) {
    app.post(
      `/retrievals/:id/${action}`,
      {
        schema: {
          ...{ tags, summary: `${action} one; asked twice is asked once` },
          params: idParams,
          response: { 200: shape, ...problems },
        },
      },
      async ({ params }) => want(await get(params.id), wanted),
    )
  }

  function docOf({ accessionNumbers, priors, ...rest }: RetrievalRequest, id: string): RetrievalDoc {
    return {
      ...rest,
      id,
      sealed: secrets.seal(JSON.stringify({ accessionNumbers, priors }), id),
      asked: { accessionNumbers: accessionNumbers.length, priors: priors !== null },
      ...{ wanted: 'run', phase: 'open', createdAt: clock.now() },
    }
  }

  /** What has ended stays as it is: to ask for the same again is fine, for anything else is not. */
  async function want(doc: RetrievalDoc, wanted: RetrievalDoc['wanted']): Promise<RetrievalView> {
    const run = await newest(doc.id)
    const ended = run && isRetrievalEnded(run.state) ? run.state : doc.wanted === 'cancel' ? 'cancelled' : undefined
    if (ended === undefined) {
      const next = { ...doc, wanted }
      if (doc.wanted !== wanted) await documents.upsert('retrievals', [next])
      return viewOf(next, run)
    }
    if (wanted !== 'cancel' || ended !== 'cancelled')
      throw new RaylogError('bad-request', `The retrieval is ${ended}; it cannot be changed any more.`)
    return viewOf(doc, run)
  }
}

function viewOf(doc: RetrievalDoc, run: RetrievalRunDoc | undefined): RetrievalView {
  const { id, peer, how, ratePerSecond, hours, createdAt } = doc
  return {
    ...{ id, peer, how, ratePerSecond, hours, createdAt },
    asked: { studies: doc.studies.length, ...doc.asked },
    state: run?.state ?? 'queued',
    studies: run?.studies ?? [],
    unknown: run?.unknown ?? 0,
    received: run?.received ?? 0,
    updatedAt: run?.updatedAt ?? null,
    error: run?.error ?? null,
  }
}
