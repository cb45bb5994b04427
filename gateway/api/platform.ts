/** What every process says of itself, whether or not the gateway stage runs in it: liveness, health, metrics, what it is. */
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { Health } from '../../monitoring/health.ts'
import type { Metrics } from '../../monitoring/metrics.ts'
import { problems } from '../http/problem.ts'

export interface PlatformRoutes {
  version: string
  researchUseOnly: boolean
  health: Health
  metrics: Metrics
}

const part = z.object({
  part: z.string(),
  ok: z.boolean(),
  code: z.string().nullable(),
  reason: z.string().nullable(),
  remedy: z.string().nullable(),
})
const healthReport = z.object({ ok: z.boolean(), parts: z.array(part) })

export function addPlatformRoutes(
  instance: FastifyInstance,
  { version, researchUseOnly, health, metrics }: PlatformRoutes,
) {
  const app = instance.withTypeProvider<ZodTypeProvider>()
  app.get(
    '/healthz',
    {
      config: { public: true },
      schema: {
        tags: ['monitoring'],
        summary: 'The process answers',
        security: [],
        response: { 200: z.object({ ok: z.literal(true) }) },
      },
    },
    async () => ({ ok: true as const }),
  )
  app.get(
    '/api/v1/about',
    {
      schema: {
        tags: ['monitoring'],
        summary: 'What runs here',
        response: {
          200: z.object({ name: z.literal('raylog'), version: z.string(), researchUseOnly: z.boolean() }),
          ...problems,
        },
      },
    },
    async () => ({ name: 'raylog' as const, version, researchUseOnly }),
  )
  app.get(
    '/api/v1/monitoring/health',
    {
      schema: {
        tags: ['monitoring'],
        summary: 'Health of each part, checked now',
        response: { 200: healthReport, 503: healthReport, ...problems },
      },
    },
    async (_request, reply) => {
      const report = await health.report()
      if (!report.ok) reply.header('retry-after', '2')
      return reply.code(report.ok ? 200 : 503).send(report)
    },
  )
  app.get(
    '/metrics',
    {
      schema: {
        tags: ['monitoring'],
        summary: 'Prometheus metrics',
        response: {
          200: { description: 'text exposition format', content: { 'text/plain': { schema: z.string() } } },
          ...problems,
        },
      },
    },
    async (_request, reply) => {
      const text = await metrics.registry.metrics()
      return reply.header('content-type', metrics.registry.contentType).serializer(String).send(text)
    },
  )
}
