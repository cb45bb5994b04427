/** The gateway: what people and programs ask over HTTP, and what they are told live. */
import { randomUUID } from 'node:crypto'
import { resolve } from 'node:path'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { createAuditTrail } from '../kafka/audit-trail.ts'
import { defineStage } from '../kafka/stage.ts'
import { topics } from '../schemas/topics.ts'
import { createDicomIndex } from '../storage/dicom-query.ts'
import { createAccessAudit } from './accesses.ts'
import { addAcknowledgePage } from './acknowledge.ts'
import { addAuditRoutes } from './api/audit.ts'
import { addDeliveryRoutes } from './api/deliveries.ts'
import { addFeedbackRoute } from './api/feedback.ts'
import { addInstanceRoutes } from './api/instances.ts'
import { addNotificationRoutes } from './api/notifications.ts'
import { addOverviewRoutes } from './api/overview.ts'
import { addParkedRoutes } from './api/parked.ts'
import { addReplayRoutes } from './api/replays.ts'
import { addComparisonRoutes } from './api/replays-compared.ts'
import { addRequestRoutes } from './api/requests.ts'
import { addResendRoute } from './api/resend.ts'
import { addPredictionRoutes, addReportRoutes } from './api/results.ts'
import { addRetrievalRoutes } from './api/retrievals.ts'
import { addStudyRoutes } from './api/studies.ts'
import { addWorklistRoute } from './api/worklist.ts'
import { prefix } from './dicomweb/context.ts'
import { addDicomwebRoutes } from './dicomweb/routes.ts'
import { openLive } from './live/server.ts'
import { addPage, builtPage } from './page.ts'

const config = z.strictObject({
  pageFolder: z.string().nullable().default(null).describe('the built page; null: web/dist of this installation'),
  pulseMs: z.int().min(100).max(60_000).default(1_000).describe('between two pulses to the dashboards, ms'),
  maxQueued: z
    .int()
    .min(10)
    .max(100_000)
    .default(4_000)
    .describe('messages waiting for a slow dashboard before it is sent away'),
  dicomweb: z
    .strictObject({
      maxResults: z.int().min(1).max(100_000).default(10_000).describe('matches of one search; more by offset'),
      maxInstances: z
        .int()
        .min(1)
        .max(1_000_000)
        .default(50_000)
        .describe('instances of one retrieval; a larger study is asked for by series'),
    })
    .prefault({}),
  presignedSeconds: z
    .int()
    .min(0)
    .max(3_600)
    .default(0)
    .describe(
      'downloads of stored images are redirected to a signed URL of the object store, which whoever has it can read for so long, s; s3.endpoint must be reached by browsers; 0: never, nor in embedded mode',
    ),
  auditMs: z
    .int()
    .min(1_000)
    .max(3_600_000)
    .default(60_000)
    .describe('who looks at a study again and again is told to the audit once in so long, with how often, ms'),
  maxReplay: z.int().min(0).max(100_000).default(5_000).describe('records read again for a dashboard that was away'),
})

export const gateway = defineStage({
  name: 'gateway',
  role: 'gateway',
  summary: 'REST API, live events and the page',
  reads: [],
  writes: [topics.feedback, topics.requests, topics.audit],
  needs: [
    'http',
    'log',
    'codec',
    'tail',
    'documents',
    'objects',
    'models',
    'images',
    'secrets',
    'health',
    'metrics',
    'endpoints',
  ],
  config,
  async open({ config, deps, publish, clock, logger, showNames, network, site, signal }) {
    const trail = createAuditTrail({ publish, clock, logger, randomId: randomUUID, windowMs: config.auditMs })
    const audit = createAccessAudit(trail)
    const context = { deps, clock, logger, showNames, audit, presignedSeconds: config.presignedSeconds }
    const allow = deps.http.access.onRefused(audit.refused)
    await deps.http.register(
      async instance => {
        const app = instance.withTypeProvider<ZodTypeProvider>()
        addInstanceRoutes(app, context)
        addStudyRoutes(app, context)
        addWorklistRoute(app, context)
        addRequestRoutes(app, context, publish, site)
        addPredictionRoutes(app, context)
        addReportRoutes(app, context)
        addDeliveryRoutes(app, context)
        addResendRoute(app, context, publish)
        addParkedRoutes(app, context)
        addReplayRoutes(app, context)
        addComparisonRoutes(app, context)
        addRetrievalRoutes(app, context, network.peers)
        addFeedbackRoute(app, context, publish)
        addNotificationRoutes(app, context)
        addAuditRoutes(app, context)
        addOverviewRoutes(app, context)
      },
      { prefix: '/api/v1' },
    )
    const index = createDicomIndex(deps)
    await deps.http.register(
      async instance =>
        addDicomwebRoutes(instance.withTypeProvider<ZodTypeProvider>(), {
          deps,
          index,
          settings: config.dicomweb,
          audit,
        }),
      { prefix },
    )
    addAcknowledgePage(deps.http, deps, clock)
    await addPage(deps.http, config.pageFolder === null ? builtPage : resolve(config.pageFolder))
    const { maxQueued, maxReplay, pulseMs } = config
    const live = await openLive({ app: deps.http, deps, clock, logger, settings: { maxQueued, maxReplay, pulseMs } })
    return {
      async drain() {
        await live.close()
        allow()
        await trail.flush(signal)
      },
      close: live.close,
    }
  },
})
