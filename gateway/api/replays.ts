/** Replays over HTTP: plan, start, follow, pause, go on, cancel. */
import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import type { Codec } from '../../kafka/ports.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { ids } from '../../schemas/ids.ts'
import { isEnded, type ReplayDoc, replayRequest } from '../../schemas/replay.ts'
import { problems } from '../http/problem.ts'
import { type ApiContext, type App, found, page } from './context.ts'
import { arrivals, arrivalsQuery, arrivalsShape } from './replays-arrivals.ts'
import { loadedModel, planReplay, planShape, rangesOf } from './replays-plan.ts'
import { newestRun, type ReplayView, replayShape, viewOf, viewsOf } from './replays-view.ts'
import { idParams, listOf, paging } from './shapes.ts'

export interface ReplayContext extends ApiContext {
  readonly deps: ApiContext['deps'] & { readonly codec: Codec }
}

const tags = ['replays']
const keyHeader = z.looseObject({
  'idempotency-key': z.string().min(8).max(128).optional().describe('asked for again under one key it is one replay'),
})

export function addReplayRoutes(app: App, context: ReplayContext): void {
  const { documents } = context.deps
  const get = async (id: string) => found(await documents.get('replays', id), 'replay')
  app.post(
    '/replays',
    {
      schema: {
        ...{ tags, summary: 'Start one' },
        headers: keyHeader,
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
  app.get(
    '/replays',
    {
      schema: {
        ...{ tags, summary: 'List' },
        querystring: z.object(paging),
        response: { 200: listOf(replayShape), ...problems },
      },
    },
    async ({ query }) => {
      const { items, next } = await documents.find('replays', page(query))
      return { items: await viewsOf(documents, items), next }
    },
  )
  app.get(
    '/replays/:id',
    { schema: { tags, summary: 'One', params: idParams, response: { 200: replayShape, ...problems } } },
    async ({ params }) => view(await get(params.id)),
  )
  for (const [action, wanted] of [
    ['pause', 'pause'],
    ['resume', 'run'],
    ['cancel', 'cancel'],
  ] as const) {
    app.post(
      `/replays/:id/${action}`,
      {
        schema: {
          ...{ tags, summary: `${action} one; asked twice is asked once` },
          params: idParams,
          response: { 200: replayShape, ...problems },
        },
      },
      async ({ params }) => want(await get(params.id), wanted),
    )
  }

  const view = async (doc: ReplayDoc): Promise<ReplayView> => viewOf(doc, await newestRun(documents, doc.id))

  /** What has ended stays as it is: to ask for the same again is fine, for anything else is not. */
  async function want(doc: ReplayDoc, wanted: ReplayDoc['wanted']): Promise<ReplayView> {
    const run = await newestRun(documents, doc.id)
    const ended = run && isEnded(run.state) ? run.state : doc.wanted === 'cancel' ? 'cancelled' : undefined
    if (ended === undefined && doc.wanted !== wanted) {
      const next = { ...doc, wanted }
      await documents.upsert('replays', [next])
      return viewOf(next, run)
    }
    if (ended !== undefined && !(wanted === 'cancel' && ended === 'cancelled'))
      throw new RaylogError('bad-request', `The replay is ${ended}; it cannot be changed any more.`)
    return viewOf(doc, run)
  }
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
