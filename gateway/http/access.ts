/** The order in which a request is let in: host, then token, then, for changes by cookie, origin. Default: no. */
import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { RaylogError } from '../../schemas/errors.ts'
import type { Guard, Identity } from './guard.ts'
import { foreignOrigin, hostAllowed, type OriginHeaders, sameOrigin } from './hosts.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Answered without a token. */
    public?: boolean
  }
  interface FastifyInstance {
    /** Set by createHttp, for what is served beside the routes (the sockets). */
    access: Access
  }
}

export interface Access {
  /** Whether the Host, and the Origin where a browser sends one, are ours. */
  fromHere(headers: OriginHeaders): boolean
  /** Whether a handshake shows the token, in `auth.token`, an Authorization header or the cookie. */
  admits(token: unknown, headers: IncomingHttpHeaders): boolean
  /** Called with each request that is turned away for want of the token. @returns a function that ends it */
  onRefused(listener: (request: FastifyRequest) => void): () => void
}

const reserved = new Set(['api', 'docs', 'metrics', 'healthz', 'live', 'assets', 'dicomweb', 'fhir', 'acknowledge'])
const safe = new Set(['GET', 'HEAD', 'OPTIONS'])

/** Whether a path may be one of the page's own (history) paths: not reserved, no file. */
export function isPagePath(path: string): boolean {
  const segments = path.split('/').slice(1)
  const [first = ''] = segments
  return !reserved.has(first.toLowerCase()) && !segments.at(-1)?.includes('.') && !/[%\\]/.test(first)
}

export function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] ?? '/'
}

const wantsHtml = (request: FastifyRequest) => request.headers.accept?.includes('text/html') ?? false

/** Route patterns decide, not URLs: find-my-way decodes `/%61pi`, a string comparison would not. */
function isPublic(request: FastifyRequest): boolean {
  return !request.is404 && request.routeOptions.config.public === true
}

export function addAccess(app: FastifyInstance, guard: Guard, boundToLoopback: boolean): void {
  const listeners = new Set<(request: FastifyRequest) => void>()
  app.decorate('access', {
    fromHere: headers => hostAllowed(headers.host, boundToLoopback) && !foreignOrigin(headers),
    admits(token, headers) {
      if (token !== undefined) return guard.isToken(token)
      return guard.identify(headers.authorization, app.parseCookie(headers.cookie ?? '')) !== 'none'
    },
    onRefused(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  } satisfies Access)
  app.addHook('onRequest', async (request, reply) => {
    if (!hostAllowed(request.headers.host, boundToLoopback))
      throw new RaylogError('bad-request', 'This Host name is not answered here; use localhost or 127.0.0.1.')
    const query: unknown = request.query
    if (request.method === 'GET' && wantsHtml(request) && hasToken(query))
      return exchange(request, reply, guard, query.token)
    if (isPublic(request)) return
    const identity = guard.identify(request.headers.authorization, request.cookies)
    if (identity === 'none') for (const listener of listeners) listener(request)
    admit(request, identity)
  })
}

function admit(request: FastifyRequest, identity: Identity): void {
  if (identity === 'none') throw new RaylogError('unauthorized', 'The request has no valid token.')
  if (identity === 'cookie' && !safe.has(request.method) && !sameOrigin(request.headers))
    throw new RaylogError('unauthorized', 'A change that rests on the cookie must come from our own page.')
}

function hasToken(query: unknown): query is { token: unknown } {
  return typeof query === 'object' && query !== null && 'token' in query
}

/** The link that `raylog start` prints: its token becomes a cookie, and leaves the address bar. */
function exchange(request: FastifyRequest, reply: FastifyReply, guard: Guard, token: unknown): FastifyReply {
  if (!guard.isToken(token))
    throw new RaylogError('unauthorized', 'The token in the link is not the one of this Raylog.')
  reply.setCookie(guard.cookieName, guard.cookieValue, { path: '/', httpOnly: true, sameSite: 'strict' })
  const rest = new URLSearchParams(request.url.split('?').slice(1).join('?'))
  rest.delete('token')
  // A path of two slashes would be another host.
  const path = pathOf(request).replace(/^[/\\]+/, '/')
  return reply.redirect(rest.size > 0 ? `${path}?${rest}` : path, 303)
}
