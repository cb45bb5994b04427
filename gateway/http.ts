/** The HTTP server of a process: who may ask, how errors look, what is said of the API. Stages add their routes to it. */
import cookie from '@fastify/cookie'
import multipart from '@fastify/multipart'
import fastify, { type FastifyBaseLogger, type FastifyInstance } from 'fastify'
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod'
import type { Logger } from 'pino'
import type { Health } from '../monitoring/health.ts'
import type { Metrics } from '../monitoring/metrics.ts'
import type { PlatformConfig } from '../schemas/config.ts'
import { RaylogError } from '../schemas/errors.ts'
import { ownVersion } from '../schemas/version.ts'
import { addPlatformRoutes } from './api/platform.ts'
import { addAccess } from './http/access.ts'
import { addDocs } from './http/docs.ts'
import { createGuard } from './http/guard.ts'
import { addSecurityHeaders } from './http/headers.ts'
import { isLoopback } from './http/hosts.ts'
import { handleError, handleNotFound } from './http/problem.ts'

type HttpConfig = PlatformConfig['http']

export interface HttpOptions {
  config: HttpConfig
  /** What the page, the API and the sockets ask for. */
  token: string
  logger: Logger
  health: Health
  metrics: Metrics
  researchUseOnly: boolean
}

/**
 * Makes the server without listening; the caller closes it (`app.close()`).
 * @throws RaylogError config-invalid for an address beyond this machine without `exposeBeyondThisMachine`
 */
export async function createHttp(options: HttpOptions): Promise<FastifyInstance> {
  const { config, token, logger, health, metrics, researchUseOnly } = options
  requireLoopback(config)
  const loggerInstance: FastifyBaseLogger = logger.child({ part: 'http' })
  const app = fastify({
    loggerInstance,
    // Fastify's own lines carry URLs, and a URL may carry the token.
    logController: new fastify.LogController({ disableRequestLogging: true }),
    // Our own answer while stopping says what code it is and when to come back.
    return503OnClosing: false,
    // URLs that cannot be decoded never come to a route, nor to its hooks.
    frameworkErrors: (thrown, request, reply) => void handleError(thrown, request, reply),
    forceCloseConnections: 'idle',
    bodyLimit: 1024 * 1024,
    routerOptions: { maxParamLength: 256 },
  })
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  app.setErrorHandler(handleError)
  app.setNotFoundHandler(handleNotFound)
  addSecurityHeaders(app)
  refuseWhileStopping(app)
  logRequests(app)
  await app.register(cookie)
  addAccess(app, createGuard(token), isLoopback(config.host))
  await app.register(multipart, { limits: { fileSize: config.maxUploadBytes, fieldSize: 64 * 1024, fields: 100 } })
  const version = ownVersion()
  await addDocs(app, { version, researchUseOnly })
  addPlatformRoutes(app, { version, researchUseOnly, health, metrics })
  return app
}

function requireLoopback({ host, exposeBeyondThisMachine }: HttpConfig): void {
  if (isLoopback(host) || exposeBeyondThisMachine) return
  throw new RaylogError(
    'config-invalid',
    `http.host is ${host}, which other machines can reach; set http.exposeBeyondThisMachine as well if that is meant.`,
  )
}

function refuseWhileStopping(app: FastifyInstance): void {
  let stopping = false
  app.addHook('preClose', async () => {
    stopping = true
  })
  app.addHook('onRequest', async (_request, reply) => {
    if (!stopping) return
    reply.header('connection', 'close')
    throw new RaylogError('stopping', 'This Raylog takes no new requests.')
  })
}

/** Route patterns instead of URLs: neither tokens nor names of files or people get into the log. */
function logRequests(app: FastifyInstance): void {
  app.addHook('onResponse', async (request, reply) => {
    const line = {
      requestId: request.id,
      method: request.method,
      route: request.is404 ? 'unknown' : request.routeOptions.url,
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime * 10) / 10,
    }
    request.log.debug(line, 'answered')
  })
}

const portsToTry = 50

/**
 * Listens at the configured address: at the next free port, up to 50 further, where the port is in use; at any port for 0.
 * @throws RaylogError config-invalid when none of them is free or the address is not this machine's
 */
export async function listen(
  app: FastifyInstance,
  config: Pick<HttpConfig, 'host' | 'port'>,
): Promise<{ host: string; port: number; url: string }> {
  // Node would bind two servers for `localhost`, and the sockets live on the first alone.
  const host = config.host === 'localhost' ? '127.0.0.1' : config.host
  const last = config.port === 0 ? 0 : Math.min(config.port + portsToTry, 65_535)
  for (let port = config.port; port <= last; port++) {
    const bound = await tryListen(app, host, port)
    if (bound !== undefined)
      return { host, port: bound, url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}` }
  }
  throw new RaylogError('config-invalid', `http.port: none of the ports ${config.port} to ${last} is free.`)
}

/** The port, or undefined where it is in use. */
async function tryListen(app: FastifyInstance, host: string, port: number): Promise<number | undefined> {
  try {
    await app.listen({ host, port })
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'EADDRINUSE' && port !== 0) return undefined
    if (code === 'EADDRNOTAVAIL' || code === 'EACCES' || code === 'ENOTFOUND')
      throw new RaylogError('config-invalid', `http: cannot listen at ${host} port ${port} (${code}).`, {
        cause: error,
      })
    throw error
  }
  const address = app.server.address()
  return typeof address === 'object' && address !== null ? address.port : port
}
