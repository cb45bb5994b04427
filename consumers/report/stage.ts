/** Writes a report of each production prediction into the object store, and says on the log that it is there. */
import { z } from 'zod'
import { defineStage } from '../../kafka/stage.ts'
import { ids } from '../../schemas/ids.ts'
import { topics } from '../../schemas/topics.ts'
import { gatherContent } from './content.ts'
import { openPdf } from './pdf.ts'

export const report = defineStage({
  name: 'report',
  role: 'consumer',
  summary: 'makes a one-page PDF of each production prediction',
  reads: [topics.predictions],
  writes: [topics.reports],
  needs: ['documents', 'objects', 'images', 'secrets', 'metrics'],
  config: z.strictObject({
    concurrency: z.int().min(1).max(256).default(8).describe('reports in the making'),
    threads: z.int().min(1).max(64).default(1).describe('threads that draw pages'),
    timeoutMs: z.int().min(100).default(20_000).describe('time to draw one page before its thread is replaced, ms'),
    recycleAfter: z.int().min(1).default(2_000).describe('pages after which the threads are replaced'),
    previewPixels: z.int().min(64).max(4096).default(768).describe('longest side of the image in the report, pixels'),
  }),
  concurrency: config => config.concurrency,
  async open({ config, deps, clock, showNames, researchUseOnly }) {
    const { objects, metrics } = deps
    const format = openPdf({ ...config, replaced: code => metrics.workerRestarts.inc({ pool: 'report', code }) })
    return {
      async handle({ event: prediction }, { emit, signal }) {
        // What a shadow, canary or replay says is for those who judge the model, not for those who read reports.
        if (prediction.role !== 'production') return
        const content = await gatherContent(deps, { ...config, showNames, researchUseOnly }, prediction)
        signal.throwIfAborted()
        const bytes = await format.render(content, signal)
        const object = await objects.put(bytes, format.contentType)
        const destination = 'store'
        emit(topics.reports, {
          id: ids.report(prediction.id, format.name, destination),
          study: prediction.study,
          site: prediction.site,
          instance: prediction.instance,
          prediction: prediction.id,
          revision: null,
          format: format.name,
          object: object.key,
          bytes: object.bytes,
          destination,
          outcome: 'made',
          at: clock.now(),
        })
      },
      close: () => format.close(),
    }
  },
})
