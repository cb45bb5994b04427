/** The gateway's routes, the page and the live push: loaded by a process that runs it, and by no other. */
import { randomUUID } from 'node:crypto'
import { resolve } from 'node:path'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { createAuditTrail } from '../kafka/audit-trail.ts'
import type { OpenStage } from '../kafka/stage.ts'
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
import type { GatewayContext } from './stage.ts'

export async function openGateway({
  config,
  deps,
  publish,
  clock,
  logger,
  showNames,
  network,
  site,
  signal,
}: GatewayContext): Promise<OpenStage<never, never>> {
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
}
