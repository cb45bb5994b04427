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
import { type ApiContext, type App, found } from './context.ts'
import { addJobRoutes, keyHeader } from './jobs.ts'

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

export function addRetrievalRoutes(app: App, { deps, clock, audit }: ApiContext, peers: readonly Peer[]): void {
  const { documents, secrets } = deps
  const name = 'retrieval'
  const view = addJobRoutes(app, {
    ...{ documents, collection: 'retrievals', name, shape, viewOf },
    async newest(id) {
      const where = { retrieval: id }
      return (await documents.find('retrievalRuns', { where, order: 'newest', limit: 1 })).items[0]
    },
    isEnded: ({ state }) => isRetrievalEnded(state),
    changed: audit.retrievalChanged,
  })
  app.post(
    '/retrievals',
    {
      schema: {
        ...{ tags: ['retrievals'], summary: 'Pull studies from a peer' },
        headers: keyHeader(name),
        body: retrievalRequest,
        response: { 201: shape, ...problems },
      },
    },
    async (request, reply) => {
      const { body, headers } = request
      if (!peers.some(peer => peer.name === body.peer))
        throw new RaylogError('bad-request', `There is no peer "${body.peer}" in the settings.`)
      const doc = docOf(body, ids.retrieval(headers['idempotency-key'] ?? randomUUID()))
      if (await documents.insert('retrievals', doc)) {
        audit.retrievalAsked(request, doc)
        return reply.code(201).send(await view(doc))
      }
      return reply.code(201).send(await view(found(await documents.get('retrievals', doc.id), name)))
    },
  )

  function docOf({ accessionNumbers, priors, ...rest }: RetrievalRequest, id: string): RetrievalDoc {
    return {
      ...rest,
      id,
      sealed: secrets.seal(JSON.stringify({ accessionNumbers, priors }), id),
      asked: { accessionNumbers: accessionNumbers.length, priors: priors !== null },
      ...{ wanted: 'run', phase: 'open', createdAt: clock.now() },
    }
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
