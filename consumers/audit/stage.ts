/** Keeps who saw or did what: the entries of platform.audit.v1 as documents, which GET /api/v1/audit lists. */
import { z } from 'zod'
import { defineStage } from '../../kafka/stage.ts'
import { topics } from '../../schemas/topics.ts'

export const audit = defineStage({
  name: 'audit',
  role: 'consumer',
  summary: 'keeps the audit entries, to be listed',
  reads: [topics.audit],
  writes: [],
  needs: ['documents'],
  config: z.strictObject({
    concurrency: z.int().min(1).max(1024).default(64).describe('entries in flight'),
  }),
  order: 'none',
  concurrency: config => config.concurrency,
  async open({ deps: { documents } }) {
    return {
      async handle({ event }) {
        await documents.upsert('audit', [event])
      },
    }
  },
})
