/** Listens, and gives each connection its association. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { RaylogError } from '../../schemas/errors.ts'
import { createLink, type Link } from '../dicom-link.ts'
import { reject } from '../dicom-pdu.ts'
import { type AssociationOptions, serveAssociation } from './association.ts'

export interface ServerOptions extends Omit<AssociationOptions, 'admit' | 'stopping'> {
  host: string
  /** The next free one is taken if it is in use; 0: any. */
  port: number
  maxAssociations: number
}

export interface DimseServer {
  readonly host: string
  readonly port: number
  readonly associations: number
  readonly listening: boolean
  /** No new associations; idle ones are aborted, others when their message is answered. Resolves when all are gone. */
  drain(): Promise<void>
  /** Ends every connection now. */
  close(): Promise<void>
}

/** Connections beside the associations: those that have not asked yet, and those about to be refused. */
const spareConnections = 64
const portsTried = 20

async function listen(server: Server, host: string, port: number): Promise<number> {
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
    return typeof address === 'object' && address ? address.port : candidate
  }
}

export async function startServer(options: ServerOptions): Promise<DimseServer> {
  const links = new Set<Link>()
  let associations = 0
  let stopping = false
  const gone: (() => void)[] = []

  function admission() {
    let admitted = false
    return {
      admit() {
        if (stopping) return { rejected: reject.stopping, because: 'stopping' }
        if (associations >= options.maxAssociations)
          return { rejected: reject.tooManyAssociations, because: 'as many associations as maxAssociations allows' }
        admitted = true
        associations++
        return undefined
      },
      leave() {
        if (admitted) associations--
      },
    }
  }

  const server = createServer({ noDelay: true, keepAlive: true }, async socket => {
    const link = createLink(socket, options.maxPduBytes)
    const { admit, leave } = admission()
    links.add(link)
    void link.closed.then(() => {
      links.delete(link)
      if (links.size === 0) for (const resolve of gone.splice(0)) resolve()
    })
    await serveAssociation(link, { ...options, admit, stopping: () => stopping }).finally(leave)
  })
  server.maxConnections = options.maxAssociations + spareConnections
  const port = await listen(server, options.host, options.port)
  server.on('error', error => options.logger.error({ err: error }, 'the DICOM port'))

  const allGone = () => (links.size === 0 ? Promise.resolve() : new Promise<void>(resolve => gone.push(resolve)))
  const stopListening = () => {
    stopping = true
    if (server.listening) server.close()
  }
  return {
    host: options.host,
    port,
    get associations() {
      return associations
    },
    get listening() {
      return server.listening
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
