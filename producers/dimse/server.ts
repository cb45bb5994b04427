/** Listens, plainly, over TLS or both, and gives each connection its association. */
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, TLSSocket, type Server as TlsServer } from 'node:tls'
import type { Logger } from 'pino'
import { createLink, type Link } from '../../dicom/link.ts'
import { reject } from '../../dicom/pdu.ts'
import { certificateOf, secureOptions, stampOf } from '../../dicom/tls.ts'
import { RaylogError } from '../../schemas/errors.ts'
import type { DicomTls } from '../../schemas/peers.ts'
import { type AssociationObserver, type AssociationOptions, serveAssociation } from './association.ts'
import { Doorstep } from './doorstep.ts'
import { Places, type PlacesOptions } from './places.ts'

export interface Listener {
  host: string
  /** The next free one is taken if it is in use; 0: any. */
  port: number
}

export interface TlsListener extends Listener {
  certificates: DicomTls
  /** Whoever shows no certificate is not connected. */
  requireCertificate: boolean
  /** Between two looks whether the files have changed, ms. */
  reloadMs: number
}

export interface ServerOptions
  extends PlacesOptions,
    Omit<AssociationOptions, 'admit' | 'stopping' | 'certificate' | 'observer'> {
  plain: Listener | null
  tls: TlsListener | null
  /** Connections of one address that have not associated, at once. */
  maxUnassociatedPerAddress: number
  observer: AssociationObserver & {
    refusedTls(address: string, because: string): void
    /** A connection was closed before it could ask for anything. */
    dropped(address: string, because: string): void
  }
}

export interface DimseServer {
  readonly plain: Listener | null
  readonly tls: Listener | null
  readonly associations: number
  readonly listening: boolean
  /** No new associations; idle ones are aborted, others when their message is answered. Resolves when all are gone. */
  drain(): Promise<void>
  /** Ends every connection now. */
  close(): Promise<void>
}

/** Connections beside the associations, those that have not asked and those about to be refused: of so many addresses full. */
const fullAddresses = 16
const portsTried = 20

async function listen(server: Server, { host, port }: Listener): Promise<Listener> {
  for (let candidate = port; ; candidate++) {
    server.listen({ host, port: candidate })
    try {
      await once(server, 'listening')
    } catch (thrown) {
      const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined
      if (code === 'EADDRINUSE' && candidate < Math.min(port + portsTried, 65_535)) continue
      throw new RaylogError('config-invalid', `dimse cannot listen on ${host}:${candidate}: ${String(code)}`, {
        cause: thrown,
      })
    }
    const address = server.address()
    return { host, port: typeof address === 'object' && address ? address.port : candidate }
  }
}

export async function startServer(options: ServerOptions): Promise<DimseServer> {
  const { logger } = options
  const links = new Set<Link>()
  const places = new Places(options)
  const doorstep = new Doorstep({
    most: options.maxUnassociatedPerAddress,
    dropped(peer, because, first) {
      if (first) logger.warn({ peer, because }, 'connections are closed before they associate')
      options.observer.dropped(peer, because)
    },
  })
  let stopping = false
  const gone: (() => void)[] = []

  async function serve(socket: Socket): Promise<void> {
    const link = createLink(socket, options.maxPduBytes)
    let leave: (() => void) | undefined
    links.add(link)
    void link.closed.then(() => {
      links.delete(link)
      if (links.size === 0) for (const resolve of gone.splice(0)) resolve()
    })
    await serveAssociation(link, {
      ...options,
      certificate: socket instanceof TLSSocket ? certificateOf(socket) : undefined,
      admit(peer, caller) {
        if (stopping) return { rejected: reject.stopping, because: 'stopping' }
        const place = places.take(peer, caller)
        if (typeof place !== 'function') return place
        leave = place
        doorstep.leave(socket)
        return undefined
      },
      stopping: () => stopping,
    }).finally(() => leave?.())
  }

  const servers: Server[] = []
  async function open(server: Server, at: Listener): Promise<Listener> {
    server.maxConnections = options.maxAssociations + fullAddresses * options.maxUnassociatedPerAddress
    doorstep.watch(server)
    const bound = await listen(server, at)
    server.on('error', error => logger.error({ err: error }, 'the DICOM port'))
    servers.push(server)
    return bound
  }
  const stopListening = () => {
    stopping = true
    for (const server of servers) if (server.listening) server.close()
  }
  let plain: Listener | null = null
  let tls: Listener | null = null
  try {
    if (options.plain) plain = await open(createServer({ noDelay: true, keepAlive: true }, serve), options.plain)
    if (options.tls) tls = await open(tlsServer(options.tls, options, serve), options.tls)
  } catch (thrown) {
    stopListening()
    throw thrown
  }

  const allGone = () => (links.size === 0 ? Promise.resolve() : new Promise<void>(resolve => gone.push(resolve)))
  return {
    plain,
    tls,
    get associations() {
      return places.taken
    },
    get listening() {
      return servers.every(server => server.listening)
    },
    async drain() {
      stopListening()
      for (const link of links) link.interrupt()
      await allGone()
    },
    async close() {
      stopListening()
      for (const link of links) link.destroy()
      await allGone()
    },
  }
}

/** @throws RaylogError config-invalid for certificates that cannot be used */
function tlsServer(
  { certificates, requireCertificate, reloadMs }: TlsListener,
  { artimMs, logger, observer }: ServerOptions,
  serve: (socket: TLSSocket) => Promise<void>,
): TlsServer {
  const verify = { requestCert: true, rejectUnauthorized: requireCertificate, handshakeTimeout: artimMs }
  let server: TlsServer
  try {
    server = createTlsServer({ ...secureOptions(certificates), ...verify, noDelay: true, keepAlive: true }, serve)
  } catch (cause) {
    if (cause instanceof RaylogError) throw cause
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new RaylogError('config-invalid', `dicomTls: ${reason}`, { cause })
  }
  server.on('tlsClientError', (error, socket) => {
    // Where the certificate is not good, Node ends the connection and says why on the socket alone.
    const unauthorized: unknown = socket.authorizationError
    const code = typeof unauthorized === 'string' ? unauthorized : 'code' in error ? String(error.code) : error.message
    // One that comes and goes, as port scanners and load balancers do, has not been refused.
    if (code !== 'ECONNRESET') observer.refusedTls(socket.remoteAddress ?? '', code)
  })
  reloadCertificates(server, certificates, reloadMs, logger)
  return server
}

/** New certificates hold for new connections; while the files are half written the old ones stay. */
function reloadCertificates(server: TlsServer, certificates: DicomTls, reloadMs: number, logger: Logger): void {
  let stamp = stampOf(certificates)
  const timer = setInterval(() => {
    const now = stampOf(certificates)
    if (now === undefined || now === stamp) return
    stamp = now
    try {
      server.setSecureContext(secureOptions(certificates))
      logger.info('the certificates of dicomTls were read again')
    } catch (thrown) {
      logger.error({ err: thrown }, 'the new certificates of dicomTls cannot be used; the old ones stay')
    }
  }, reloadMs)
  timer.unref()
  server.once('close', () => clearInterval(timer))
}
