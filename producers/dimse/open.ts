/** The node itself: loaded by a process that runs it, and by no other. */
import { randomUUID } from 'node:crypto'
import { type AuditTrail, createAuditTrail } from '../../kafka/audit-trail.ts'
import type { Network, Ports } from '../../kafka/ports.ts'
import type { OpenStage } from '../../kafka/stage.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { topics } from '../../schemas/topics.ts'
import { wholeBytes } from '../head.ts'
import { createIntake } from '../intake.ts'
import { createTrays } from '../trays.ts'
import { createAdmission } from './admission.ts'
import { createAskedAudit } from './asked.ts'
import { createReception } from './reception.ts'
import { type ServerOptions, startServer } from './server.ts'
import { createServices } from './services/all.ts'
import type { DimseConfig, DimseContext } from './stage.ts'
import { createTransfers } from './transfers.ts'

/** @throws RaylogError config-invalid for settings that contradict each other */
function listenersOf({ host, port, plain, tls }: DimseConfig, { dicomTls }: Network) {
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

export async function openDimse({
  config,
  deps,
  publish,
  seal,
  logger,
  site,
  clock,
  network,
  signal,
}: DimseContext): Promise<OpenStage<never, never>> {
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
}
