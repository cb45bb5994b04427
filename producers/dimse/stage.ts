/**
 * The DICOM node: modalities and PACS send here, query and retrieve. "Stored" (0x0000) is said when bytes and event are durable.
 */
import { z } from 'zod'
import { tlsPort } from '../../dicom/tls.ts'
import { defineStage, type OpenContext } from '../../kafka/stage.ts'
import { aeTitle } from '../../schemas/peers.ts'
import { topics } from '../../schemas/topics.ts'
import { servicesConfig } from './services/config.ts'

const dimseConfig = z.strictObject({
  host: z.string().default('127.0.0.1').describe('address to listen on; 0.0.0.0 lets other machines send'),
  port: z.int().min(0).max(65_535).default(11_112).describe('the next free one is taken if it is in use; 0: any'),
  aeTitle: aeTitle.default('RAYLOG').describe('our application entity title'),
  strictAeTitle: z.boolean().default(false).describe('refuse associations that call another title'),
  privateSopClasses: z.boolean().default(false).describe("take SOP classes outside the standard's root too"),
  maxAssociations: z.int().min(1).max(10_000).default(256).describe('at once; more are refused for the moment'),
  maxAssociationsPerCaller: z
    .int()
    .min(1)
    .max(10_000)
    .default(64)
    .describe(
      'of one address whose callers are no peers, whatever their AE titles, at once; a peer has its own maxAssociations',
    ),
  maxUnassociatedPerAddress: z
    .int()
    .min(1)
    .max(10_000)
    .default(64)
    .describe('connections of one address that have not associated yet, at once; more are closed'),
  maxPduBytes: z
    .int()
    .min(4_096)
    .max(1_048_576)
    .default(131_072)
    .describe('longest P-DATA-TF that senders may use, bytes'),
  maxBytes: z
    .int()
    .min(1)
    .default(4 * 1024 ** 3)
    .describe('one image, bytes'),
  concurrency: z.int().min(1).max(1_024).default(32).describe('images received at once'),
  waitMs: z.int().min(0).max(60_000).default(10_000).describe('an image waits so long for a place, then 0xA700, ms'),
  artimMs: z.int().min(10).default(10_000).describe('for an association request, and for the end of a connection, ms'),
  idleMs: z.int().min(10).default(300_000).describe('an association without messages is aborted after this, ms'),
  stallMs: z.int().min(10).default(60_000).describe('a message of which nothing more comes is given up, ms'),
  acceptAnyoneOnThisNetwork: z
    .boolean()
    .default(false)
    .describe('for labs: whoever reaches the port may use every service, whether or not "peers" names them'),
  plain: z.boolean().default(true).describe('listen without TLS; false needs tls'),
  tls: z
    .strictObject({
      host: z.string().nullable().default(null).describe('address to listen on; null: the same as dimse.host'),
      port: z.int().min(0).max(65_535).default(tlsPort).describe('the next free one is taken if it is in use; 0: any'),
      requireCertificate: z
        .boolean()
        .default(true)
        .describe('false: also those who show no certificate, where their peer settings name none'),
      reloadMs: z.int().min(100).default(10_000).describe('between two looks for new certificates, ms'),
    })
    .nullable()
    .default(null)
    .describe('listen with TLS, with the certificate of dicomTls'),
  ...servicesConfig,
})

export type DimseConfig = z.infer<typeof dimseConfig>

const writes = [topics.instances, topics.requests, topics.audit] as const
const needs = ['objects', 'documents', 'images', 'secrets', 'metrics', 'health', 'endpoints'] as const

export type DimseContext = OpenContext<(typeof writes)[number], (typeof needs)[number], DimseConfig>

export const dimse = defineStage({
  name: 'dimse',
  role: 'producer',
  summary:
    'the DICOM node: receives images, answers queries and retrievals; from this machine alone unless its host says otherwise',
  reads: [],
  writes,
  needs,
  config: dimseConfig,
  // Its modules are loaded by processes that run it.
  open: async context => (await import('./open.ts')).openDimse(context),
})
