/** STOW-RS (PS3.18 10.5): objects by HTTP, each answered on its own. QIDO-RS and WADO-RS belong to the gateway. */
import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { createAuditTrail } from '../../kafka/audit-trail.ts'
import { defineStage } from '../../kafka/stage.ts'
import { topics } from '../../schemas/topics.ts'
import { createIntake } from '../intake.ts'
import { addStoreRoutes } from './store.ts'

const dicomwebConfig = z.strictObject({
  maxBytes: z
    .int()
    .min(1)
    .default(4 * 1024 ** 3)
    .describe('one object, bytes'),
  maxJsonBytes: z
    .int()
    .min(1)
    .default(512 * 1024 ** 2)
    .describe('one request of metadata and bulk data (application/dicom+json), which is held in memory, bytes'),
  maxInstances: z.int().min(1).max(1_000_000).default(20_000).describe('objects of one request'),
  concurrency: z.int().min(1).max(1_024).default(16).describe('objects received at once'),
  waitMs: z.int().min(0).max(60_000).default(5_000).describe('an object waits so long for a place, then 503, ms'),
  stallMs: z
    .int()
    .min(10)
    .default(60_000)
    .describe('a request of which nothing more comes, or next to nothing, is given up, ms'),
})

export type DicomwebConfig = z.infer<typeof dicomwebConfig>

export const dicomweb = defineStage({
  name: 'dicomweb',
  role: 'producer',
  summary: 'receives DICOM objects by STOW-RS',
  reads: [],
  writes: [topics.instances, topics.audit],
  needs: ['http', 'objects', 'images', 'secrets', 'metrics'],
  config: dicomwebConfig,
  async open({ config, deps, publish, site, clock, logger, signal }) {
    const { concurrency: limit, waitMs, maxBytes } = config
    const intake = createIntake({ producer: 'dicomweb', site, clock, deps, publish, limit, waitMs, maxBytes })
    const trail = createAuditTrail({ publish, clock, logger, randomId: randomUUID })
    await deps.http.register(
      async app => {
        // The body is handed on as it comes: an object is never held whole.
        app.addContentTypeParser(/^(multipart\/related|application\/dicom)\b/, (_request, body, done) =>
          done(null, body),
        )
        addStoreRoutes(app, { config, intake, images: deps.images, trail, signal })
      },
      { prefix: '/dicomweb' },
    )
    return {
      async drain() {
        await intake.idle()
        await trail.flush(signal)
      },
    }
  },
})
