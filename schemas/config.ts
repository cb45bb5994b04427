/** Settings of the platform. Each stage adds its own section, under its name (kafka/compile.ts). */
import { z } from 'zod'
import { deidentifySection } from './deidentify.ts'
import { dicomTlsSection, peersSection } from './peers.ts'
import { routingRule } from './routing.ts'
import { kafkaSection, mongoSection, s3Section } from './stores.ts'

const port = z.int().min(0).max(65_535)

export const platformConfig = z.strictObject({
  data: z.string().default('./data').describe('folder for everything that is kept'),
  site: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,64}$/)
    .default('main')
    .describe('hospital or tenant whose images come in here'),
  mode: z
    .enum(['embedded', 'distributed'])
    .default('embedded')
    .describe('embedded: one process, SQLite and a folder; distributed: any number, on Kafka, MongoDB and S3'),
  stages: z.array(z.string()).nullable().default(null).describe('stages that this process runs; null runs all'),
  logLevel: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
  log: z
    .strictObject({
      retentionDays: z
        .int()
        .min(1)
        .nullable()
        .default(null)
        .describe("null: each topic's own; kept at least so long, days"),
      maxBytes: z
        .int()
        .min(1_000_000)
        .nullable()
        .default(null)
        .describe('size of a topic above which the oldest records go, bytes'),
    })
    .prefault({}),
  kafka: kafkaSection.nullable().default(null).describe('the log in distributed mode'),
  mongo: mongoSection.nullable().default(null).describe('the documents in distributed mode'),
  s3: s3Section.nullable().default(null).describe('the objects in distributed mode'),
  secrets: z
    .strictObject({
      folder: z
        .string()
        .nullable()
        .default(null)
        .describe('where secrets.key and token are, the same for every process; null: the data folder'),
    })
    .prefault({}),
  models: z
    .strictObject({
      folders: z.array(z.string()).default([]).describe('folders that hold model folders, besides the built-in ones'),
      builtIn: z.boolean().default(true).describe('load the models that come with Raylog'),
      only: z.array(z.string()).nullable().default(null).describe('names of the models to load; null loads all'),
      standby: z
        .array(z.string())
        .default([])
        .describe('name@version of models that are loaded and not used for what comes in: for replays'),
      rules: z
        .array(routingRule)
        .default([])
        .describe('which images a model gets: the first rule that fits decides; they only narrow'),
      workers: z.int().min(1).max(256).nullable().default(null).describe('worker processes; null: one a core'),
      threadsPerWorker: z.int().min(1).max(64).default(1).describe('threads of one ONNX Runtime session'),
      providers: z
        .array(z.enum(['cpu', 'cuda', 'webgpu']))
        .min(1)
        .default(['cpu'])
        .describe('in order of preference'),
      batchDelayMs: z.int().min(0).max(10_000).default(0).describe('wait for a fuller batch, ms'),
      budgetMs: z.int().min(100).default(30_000).describe('time for one batch before its worker is replaced, ms'),
    })
    .prefault({}),
  peers: peersSection,
  dicomTls: dicomTlsSection.nullable().default(null).describe('certificate for DICOM over TLS; null: none'),
  http: z
    .strictObject({
      host: z
        .string()
        .default('127.0.0.1')
        .describe('anything but a loopback address also needs exposeBeyondThisMachine'),
      exposeBeyondThisMachine: z.boolean().default(false),
      port: port.default(8080).describe('the next free one is taken if it is in use; 0: any'),
      token: z
        .string()
        .min(16)
        .nullable()
        .default(null)
        .describe('null: made at first start and kept in the data folder'),
      maxUploadBytes: z
        .int()
        .min(1)
        .default(512 * 1024 * 1024)
        .describe('one file, bytes'),
    })
    .prefault({}),
  runner: z
    .strictObject({
      retries: z.int().min(0).max(100).default(4).describe('attempts after the first, for errors that may pass'),
      backoffMs: z.int().min(1).default(200).describe('before the second attempt, doubled each time, with jitter, ms'),
      maxBackoffMs: z.int().min(1).default(15_000),
      drainMs: z.int().min(0).default(10_000).describe('time to finish what is under way at a stop, ms'),
    })
    .prefault({}),
  privacy: z
    .strictObject({
      showNames: z.boolean().default(false).describe("show patients' names on the page, and in reports"),
    })
    .prefault({}),
  deidentify: deidentifySection.describe('what is taken out of images as they come in (PS3.15 Annex E)'),
  researchUseOnly: z.boolean().default(true).describe('every page and report says so'),
})

/** What distributed mode cannot do without. */
export const distributedSections = ['kafka', 'mongo', 's3'] as const

export type PlatformConfig = z.infer<typeof platformConfig>
