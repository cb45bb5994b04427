/** Images by HTTP: to keep (POST /api/v1/instances), or to keep and be told of (POST /api/v1/predictions). */
import { join } from 'node:path'
import { z } from 'zod'
import type { Ports } from '../../kafka/ports.ts'
import { defineStage } from '../../kafka/stage.ts'
import { topics } from '../../schemas/topics.ts'
import { type FileRules, zipConfig } from '../files.ts'
import { createIntake, type Intake } from '../intake.ts'
import { addInstancesRoute } from './instances.ts'
import { bodyTypes } from './parts.ts'
import { addPredictionsRoute } from './predictions.ts'

const uploadConfig = z.strictObject({
  maxBytes: z
    .int()
    .min(1)
    .default(512 * 1024 * 1024)
    .describe('one image or archive, bytes; http.maxUploadBytes holds for the files of a form as well'),
  maxFiles: z.int().min(1).max(100_000).default(10_000).describe('files of one form'),
  concurrency: z.int().min(1).max(1_024).default(16).describe('images received at once'),
  waitMs: z.int().min(0).max(60_000).default(5_000).describe('an image waits so long for a place, then 503, ms'),
  stallMs: z
    .int()
    .min(10)
    .default(60_000)
    .describe('an upload of which nothing more comes, or next to nothing, is given up, ms'),
  waitForResultMs: z
    .int()
    .min(1)
    .max(300_000)
    .default(30_000)
    .describe('POST /api/v1/predictions waits so long for the models, unless the request says otherwise, ms'),
  zip: zipConfig,
})

export interface UploadContext {
  config: z.infer<typeof uploadConfig>
  deps: Pick<Ports, 'models' | 'tail'>
  intake: Intake
  rules: FileRules
}

export const upload = defineStage({
  name: 'upload',
  role: 'producer',
  summary: 'receives images by HTTP',
  reads: [],
  writes: [topics.instances],
  needs: ['http', 'objects', 'images', 'secrets', 'models', 'tail', 'metrics'],
  config: uploadConfig,
  async open({ config, deps, publish, site, clock, dataFolder, signal }) {
    const { concurrency: limit, waitMs, maxBytes, zip } = config
    const intake = createIntake({ producer: 'upload', site, clock, deps, publish, limit, waitMs, maxBytes })
    const rules: FileRules = { zip, maxBytes, folder: join(dataFolder, 'tmp', 'upload'), signal }
    await deps.http.register(async app => {
      // The body is handed on as it comes: an image is never held whole.
      app.addContentTypeParser(bodyTypes, (_request, body, done) => done(null, body))
      const context = { config, deps, intake, rules }
      addInstancesRoute(app, context)
      addPredictionsRoute(app, context)
    })
    return { drain: () => intake.idle() }
  },
})
