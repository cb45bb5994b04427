/** What the process as a whole does: totals and rates, models, lag, topics, where senders reach it. */
import { z } from 'zod'
import type { Lag } from '../../kafka/log.ts'
import { problems } from '../http/problem.ts'
import type { ApiContext, App } from './context.ts'
import { modelShape } from './shapes.ts'
import { createStats, statsShape } from './stats.ts'

const lagShape = z.object({
  stage: z.string(),
  topic: z.string(),
  lag: z.int().describe('events not yet committed'),
  partitions: z.array(z.object({ partition: z.int(), committed: z.int(), high: z.int(), lag: z.int() })),
})

const topicShape = z.object({
  name: z.string(),
  partitions: z.int(),
  retention: z.object({ maxAgeMs: z.int().nullable(), maxBytes: z.int().nullable() }),
  bounds: z.array(z.object({ partition: z.int(), low: z.int(), high: z.int() })),
})

const items = <T extends z.ZodType>(item: T) => z.object({ items: z.array(item) })
const tags = ['monitoring']

export function addOverviewRoutes(app: App, { deps, clock }: ApiContext): void {
  const stats = createStats(deps.documents, clock)
  app.get(
    '/stats',
    { schema: { tags, summary: 'Totals and rates', response: { 200: statsShape, ...problems } } },
    stats,
  )
  app.get(
    '/models',
    {
      schema: {
        tags: ['models'],
        summary: 'Models with manifest, card and state',
        response: { 200: items(modelShape), ...problems },
      },
    },
    async () => ({ items: deps.models.list() }),
  )
  app.get(
    '/monitoring/lag',
    { schema: { tags, summary: 'Lag by stage and topic', response: { 200: items(lagShape), ...problems } } },
    async () => {
      const groups = await deps.log.groups()
      const lags = await Promise.all(groups.map(async group => byTopic(group, await deps.log.lag(group))))
      return { items: lags.flat() }
    },
  )
  app.get(
    '/endpoints',
    {
      schema: {
        tags,
        summary: 'Where people and senders reach this process',
        response: {
          200: z.record(z.string(), z.record(z.string(), z.union([z.string(), z.number()]))),
          ...problems,
        },
      },
    },
    async () => deps.endpoints.all(),
  )
  app.get(
    '/log/topics',
    { schema: { tags, summary: 'Topics and their offsets', response: { 200: items(topicShape), ...problems } } },
    async () => ({ items: await deps.log.topics() }),
  )
}

function byTopic(stage: string, lags: readonly Lag[]): z.infer<typeof lagShape>[] {
  return [...Map.groupBy(lags, ({ topic }) => topic)].map(([topic, partitions]) => ({
    stage,
    topic,
    lag: partitions.reduce((sum, { lag }) => sum + lag, 0),
    partitions: partitions.map(({ partition, committed, high, lag }) => ({ partition, committed, high, lag })),
  }))
}
