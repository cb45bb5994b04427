/** Replays over HTTP: plan, start, follow, pause, go on, cancel. */
import { randomUUID } from 'node:crypto'
import type { z } from 'zod'
import type { Codec } from '../../kafka/ports.ts'
import { ids } from '../../schemas/ids.ts'
import { isEnded, type ReplayDoc, replayRequest } from '../../schemas/replay.ts'
import { problems } from '../http/problem.ts'
import type { ApiContext, App } from './context.ts'
import { addJobRoutes, keyHeader } from './jobs.ts'
import { arrivals, arrivalsQuery, arrivalsShape } from './replays-arrivals.ts'
import { addGoneRoute } from './replays-gone.ts'
import { loadedModel, planReplay, planShape, rangesOf } from './replays-plan.ts'
import { newestRun, replayShape, viewOf } from './replays-view.ts'

export interface ReplayContext extends ApiContext {
  readonly deps: ApiContext['deps'] & { readonly codec: Codec }
}

const tags = ['replays']

export function addReplayRoutes(app: App, context: ReplayContext): void {
  const { documents } = context.deps
  const view = addJobRoutes(app, {
    ...{ documents, collection: 'replays', name: 'replay', shape: replayShape, viewOf },
    newest: id => newestRun(documents, id),
    isEnded: ({ state }) => isEnded(state),
  })
  addGoneRoute(app, documents)
  app.post(
    '/replays',
    {
      schema: {
        ...{ tags, summary: 'Start one' },
        headers: keyHeader('replay'),
        body: replayRequest,
        response: { 201: replayShape, ...problems },
      },
    },
    async ({ body, headers }, reply) => {
      const doc = await create(context, body, headers['idempotency-key'] ?? randomUUID())
      return reply.code(201).send(await view(doc))
    },
  )
  app.post(
    '/replays/plan',
    {
      schema: {
        ...{ tags, summary: 'What one would do; nothing is written' },
        body: replayRequest,
        response: { 200: planShape, ...problems },
      },
    },
    ({ body }) => planReplay(context.deps, context.clock, body),
  )
  app.get(
    '/replays/arrivals',
    {
      schema: {
        ...{ tags, summary: 'How many images came when' },
        querystring: arrivalsQuery,
        response: { 200: arrivalsShape, ...problems },
      },
    },
    ({ query }) => arrivals(documents, context.clock, query),
  )
}

async function create(
  { deps, clock }: ReplayContext,
  request: z.output<typeof replayRequest>,
  key: string,
): Promise<ReplayDoc> {
  const { ref } = loadedModel(deps, request.model)
  const doc: ReplayDoc = {
    ...request,
    id: ids.replay(key),
    model: { name: ref.name, version: ref.version },
    ranges: await rangesOf(deps.log, request),
    wanted: 'run',
    phase: 'open',
    createdAt: clock.now(),
  }
  return (await deps.documents.insert('replays', doc)) ? doc : ((await deps.documents.get('replays', doc.id)) ?? doc)
}
