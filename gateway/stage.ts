/** The gateway: what people and programs ask over HTTP, and what they are told live. */
import { z } from 'zod'
import { defineStage, type OpenContext } from '../kafka/stage.ts'
import { topics } from '../schemas/topics.ts'

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

const writes = [topics.feedback, topics.requests, topics.audit] as const
const needs = [
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
] as const

export type GatewayContext = OpenContext<(typeof writes)[number], (typeof needs)[number], z.infer<typeof config>>

export const gateway = defineStage({
  name: 'gateway',
  role: 'gateway',
  summary: 'REST API, live events and the page',
  reads: [],
  writes,
  needs,
  config,
  // Its modules are loaded by processes that run it.
  open: async context => (await import('./open.ts')).openGateway(context),
})
