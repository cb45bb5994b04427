/**
 * The DICOM node: modalities and PACS send here, query and retrieve. "Stored" (0x0000) is said when bytes and event are durable.
 */
import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { tlsPort } from '../../dicom/tls.ts'
import { type AuditTrail, createAuditTrail } from '../../kafka/audit-trail.ts'
import type { Network, Ports } from '../../kafka/ports.ts'
import { defineStage } from '../../kafka/stage.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { aeTitle } from '../../schemas/peers.ts'
import { topics } from '../../schemas/topics.ts'
import { wholeBytes } from '../head.ts'
import { createIntake } from '../intake.ts'
import { createTrays } from '../trays.ts'
import { createAdmission } from './admission.ts'
import { createAskedAudit } from './asked.ts'
import { createReception } from './reception.ts'
import { type ServerOptions, startServer } from './server.ts'
import { createServices, servicesConfig } from './services/all.ts'
import { createTransfers } from './transfers.ts'

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

/** @throws RaylogError config-invalid for settings that contradict each other */
function listenersOf({ host, port, plain, tls }: z.infer<typeof dimseConfig>, { dicomTls }: Network) {
  if (!plain && !tls) throw new RaylogError('config-invalid', 'dimse.plain: false needs dimse.tls')
  if (!tls) return { plain: { host, port }, tls: null }
  if (!dicomTls)
    throw new RaylogError('config-invalid', 'dimse.tls needs dicomTls: our certificate and the CA of the peers')
  return { plain: plain ? { host, port } : null, tls: { ...tls, host: tls.host ?? host, certificates: dicomTls } }
}

/** Associations for the audit: those that were opened, and those that were not. Connections that were closed are counted too. */
function observerOf(
  trail: AuditTrail,
  aeTitle: string,
  { connectionsDropped }: Ports['metrics'],
): ServerOptions['observer'] {
  return {
    opened: ({ calling, called, address, peer }) =>
      trail.tell({
        ...{ action: 'association-opened', actor: calling || '(none)', object: aeTitle, outcome: 'success', address },
        detail: { called, peer: peer?.name },
      }),
    rejected: ({ calling, called }, address, reason) =>
      trail.tellOften({
        ...{ action: 'association-rejected', actor: calling || '(none)', object: aeTitle, outcome: 'failure', address },
        detail: { called, reason },
      }),
    refusedTls: (address, reason) =>
      trail.tellOften({
        ...{ action: 'association-rejected', actor: address || '(gone)', object: aeTitle, outcome: 'failure', address },
        detail: { reason: `TLS: ${reason}` },
      }),
    dropped(address, reason) {
      connectionsDropped.inc()
      trail.tellOften({
        ...{ action: 'association-rejected', actor: address || '(gone)', object: aeTitle, outcome: 'failure', address },
        detail: { reason },
      })
    },
  }
}

export const dimse = defineStage({
  name: 'dimse',
  role: 'producer',
  summary:
    'the DICOM node: receives images, answers queries and retrievals; from this machine alone unless its host says otherwise',
  reads: [],
  writes: [topics.instances, topics.requests, topics.audit],
  needs: ['objects', 'documents', 'images', 'secrets', 'metrics', 'health', 'endpoints'],
  config: dimseConfig,
  async open({ config, deps, publish, seal, logger, site, clock, network, signal }) {
    const { concurrency: limit, waitMs, maxBytes } = config
    const trays = createTrays(wholeBytes, { logger, metrics: deps.metrics })
    const most = { limit, waitMs, maxBytes }
    const intake = createIntake({ producer: 'dimse', site, clock, deps, publish, seal, trays, ...most })
    const listeners = listenersOf(config, network)
    const trail = createAuditTrail({ publish, clock, logger, randomId: randomUUID })
    const stopping = new AbortController()
    const store = createReception({ intake, transfers: createTransfers(trail), clock, stopping: stopping.signal })
    const services = createServices({
      ...{ config, deps, network, clock, logger, store },
      audit: createAskedAudit(trail),
      site,
      tell: async request => void (await publish(topics.requests, request)),
    })
    const { acceptAnyoneOnThisNetwork: acceptAnyone } = config
    const server = await startServer({
      ...config,
      ...listeners,
      ...{ logger, services: services.byField, offered: services.offered },
      ...{ observer: observerOf(trail, config.aeTitle, deps.metrics) },
      identify: createAdmission({ peers: network.peers, acceptAnyone }),
    })
    const unregister = deps.health.register('dimse', () => {
      if (!server.listening) throw new RaylogError('stopping', 'the DICOM port is closed')
    })
    const { plain, tls } = server
    if (plain) deps.endpoints.set('dicom', { ...plain, aeTitle: config.aeTitle })
    if (tls) deps.endpoints.set('dicomTls', { ...tls, aeTitle: config.aeTitle })
    logger.info({ plain, tls, aeTitle: config.aeTitle }, 'DICOM')
    if (acceptAnyone) logger.warn('anyone who reaches the DICOM port is accepted (dimse.acceptAnyoneOnThisNetwork)')
    return {
      async drain() {
        stopping.abort(new RaylogError('stopping', 'Raylog is stopping'))
        await server.drain()
        await trail.flush(signal)
      },
      async close() {
        unregister()
        await server.close()
        await services.close()
        await trays.close()
      },
    }
  },
})
