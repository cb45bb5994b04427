import { request } from 'node:http'
import { createServer } from 'node:net'
import { Writable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import pino from 'pino'
import { afterEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createHealth } from '../monitoring/health.ts'
import { createMetrics } from '../monitoring/metrics.ts'
import { platformConfig } from '../schemas/config.ts'
import { type ErrorCode, errorTable, RaylogError } from '../schemas/errors.ts'
import { createHttp, listen } from './http.ts'

const token = 'a-token-of-more-than-16-characters'
const bearer = { authorization: `Bearer ${token}` }
const open: FastifyInstance[] = []

afterEach(async () => {
  await Promise.all(open.splice(0).map(app => app.close()))
})

interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
  body: string
  json(): unknown
}

async function start(options: { http?: object; routes?: (app: FastifyInstance) => void } = {}) {
  const lines: string[] = []
  const sink = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk))
      done()
    },
  })
  const config = platformConfig.parse({ http: { port: 0, ...options.http } }).http
  const health = createHealth()
  const logger = pino({ level: 'debug' }, sink)
  const app = await createHttp({ config, token, logger, health, metrics: createMetrics(), researchUseOnly: true })
  open.push(app)
  app.post('/api/v1/change', async () => ({ done: true }))
  app.get('/page', { config: { public: true } }, async () => 'page')
  app.get('/*', { config: { public: true } }, async () => 'shell')
  options.routes?.(app)
  const { port } = await listen(app, config)
  const ask = (path: string, { method = 'GET', headers = {}, body = '' } = {}) =>
    send(port, path, method, headers, body)
  return { app, ask, health, lines, port, config }
}

/** node:http, since fetch sets Host, Origin and Sec-Fetch-Site by itself. */
function send(
  port: number,
  path: string,
  method: string,
  headers: Record<string, string>,
  body: string,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, incoming => {
      const chunks: Buffer[] = []
      incoming.on('data', chunk => chunks.push(chunk))
      incoming.on('error', reject)
      incoming.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        const { statusCode = 0, headers: answered } = incoming
        resolve({ status: statusCode, headers: answered, body: text, json: () => JSON.parse(text) })
      })
    })
    outgoing.on('error', reject).end(body)
  })
}

async function cookieOf(ask: Awaited<ReturnType<typeof start>>['ask']): Promise<string> {
  const { headers } = await ask(`/page?token=${token}`, { headers: { accept: 'text/html' } })
  return String(headers['set-cookie']).split(';', 1)[0] ?? ''
}

describe('the token', () => {
  it.each(['/api/v1/about', '/metrics', '/docs', '/docs/json', '/docs/errors', '/api/v1/monitoring/health'])(
    'is asked for at %s',
    async path => {
      const { ask } = await start()
      expect((await ask(path)).status).toBe(401)
      expect((await ask(path, { headers: { authorization: 'Bearer wrong' } })).status).toBe(401)
      expect((await ask(path, { headers: { authorization: `Basic ${token}` } })).status).toBe(401)
      expect((await ask(path, { headers: bearer })).status).toBeLessThan(400)
    },
  )

  it('is not asked for by liveness, which says nothing else', async () => {
    const { ask } = await start()
    const answer = await ask('/healthz')
    expect([answer.status, answer.json()]).toEqual([200, { ok: true }])
  })

  it('guards a route that is spelt in another way', async () => {
    const { ask } = await start()
    for (const path of ['/%61pi/v1/about', '/api/v1/%61bout']) {
      const { status, body } = await ask(path)
      expect([path, status, body.includes('version')]).toEqual([path, path.startsWith('/%61') ? status : 401, false])
    }
  })

  it('in a page link becomes a strict cookie and leaves the URL', async () => {
    const { ask } = await start()
    const answer = await ask(`/page?a=1&token=${token}&b=2`, { headers: { accept: 'text/html' } })
    expect([answer.status, answer.headers.location]).toEqual([303, '/page?a=1&b=2'])
    expect(String(answer.headers['set-cookie'])).toMatch(/; Path=\/; HttpOnly; SameSite=Strict$/)
    expect(String(answer.headers['set-cookie'])).not.toContain(token)
    const cookie = await cookieOf(ask)
    expect((await ask('/api/v1/about', { headers: { cookie } })).json()).toMatchObject({ researchUseOnly: true })
  })

  it('in a link that is wrong is refused without a cookie', async () => {
    const { ask } = await start()
    const answer = await ask('/page?token=guess', { headers: { accept: 'text/html' } })
    expect([answer.status, answer.headers['set-cookie']]).toEqual([401, undefined])
  })

  it('in a link never leads to another host', async () => {
    const { ask } = await start()
    for (const path of ['//evil.example/', '/\\evil.example/']) {
      const { headers } = await ask(`${path}?token=${token}`, { headers: { accept: 'text/html' } })
      expect(String(headers.location)).toMatch(/^\/[^/\\]/)
    }
  })

  it('of another Raylog on the same host has a cookie of another name', async () => {
    const { ask } = await start()
    const cookie = await cookieOf(ask)
    const [name = ''] = cookie.split('=')
    const forged = `${name}=${'x'.repeat(43)}`
    expect((await ask('/api/v1/about', { headers: { cookie: forged } })).status).toBe(401)
  })
})

describe('a change that rests on the cookie', () => {
  it.each([
    ['our own page by Sec-Fetch-Site', { 'sec-fetch-site': 'same-origin' }, 200],
    ['our own page by Origin', { origin: 'SELF' }, 200],
    ['another port of this machine', { 'sec-fetch-site': 'same-site', origin: 'http://127.0.0.1:1' }, 401],
    ['another origin', { origin: 'http://evil.example' }, 401],
    ['a sandboxed frame', { origin: 'null' }, 401],
    ['a form of another site', { 'sec-fetch-site': 'cross-site' }, 401],
    ['nobody knows where', {}, 401],
  ])('from %s', async (_name, headers, status) => {
    const { ask, port } = await start()
    const cookie = await cookieOf(ask)
    const own = Object.fromEntries(
      Object.entries(headers).map(([k, v]) => [k, v === 'SELF' ? `http://127.0.0.1:${port}` : v]),
    )
    const answer = await ask('/api/v1/change', { method: 'POST', headers: { cookie, ...own } })
    expect(answer.status).toBe(status)
  })

  it('is not needed where the token is in a header', async () => {
    const { ask } = await start()
    const headers = { ...bearer, origin: 'http://evil.example' }
    expect((await ask('/api/v1/change', { method: 'POST', headers })).status).toBe(200)
  })
})

describe('the Host', () => {
  it.each([
    ['localhost', 200],
    ['localhost:9999', 200],
    ['127.0.0.1:80', 200],
    ['[::1]:80', 200],
    ['raylog.localhost', 200],
    ['evil.example', 400],
    ['127.0.0.1.evil.example', 400],
    ['localhost@evil.example', 400],
    ['127.evil.example', 400],
  ])('%s answers %i on a loopback address', async (host, status) => {
    const { ask } = await start()
    expect((await ask('/api/v1/about', { headers: { ...bearer, host } })).status).toBe(status)
    expect((await ask('/healthz', { headers: { host } })).status).toBe(status)
  })

  it('may be any name where the process is exposed on purpose', async () => {
    const { ask } = await start({ http: { host: '0.0.0.0', exposeBeyondThisMachine: true } })
    expect((await ask('/api/v1/about', { headers: { ...bearer, host: 'raylog.hospital.example' } })).status).toBe(200)
  })
})

describe('listening', () => {
  it('beyond this machine needs to be said twice', async () => {
    await expect(start({ http: { host: '0.0.0.0' } })).rejects.toMatchObject({ code: 'config-invalid' })
  })

  it('takes the next free port', async () => {
    const first = await start()
    const second = await start({ http: { port: first.port } })
    expect(second.port).toBeGreaterThan(first.port)
    expect(second.port).toBeLessThanOrEqual(first.port + 50)
  })

  it('says which address is not of this machine', async () => {
    const blocker = createServer()
    blocker.close()
    const config = { host: '192.0.2.1', port: 0 }
    const { app } = await start({ http: { host: '0.0.0.0', exposeBeyondThisMachine: true } })
    await app.close()
    const other = await createHttp({
      config: platformConfig.parse({ http: { ...config, exposeBeyondThisMachine: true } }).http,
      token,
      logger: pino({ level: 'silent' }),
      health: createHealth(),
      metrics: createMetrics(),
      researchUseOnly: true,
    })
    open.push(other)
    await expect(listen(other, config)).rejects.toMatchObject({ code: 'config-invalid' })
  })
})

describe('an error', () => {
  const codes = Object.keys(errorTable) as ErrorCode[]

  it.each(codes)('%s is a problem with its status, remedy and request id', async code => {
    const { ask } = await start({
      routes: app => app.get('/api/v1/fail', () => Promise.reject(new RaylogError(code, 'what happened'))),
    })
    const answer = await ask('/api/v1/fail', { headers: bearer })
    const { http, title, remedy } = errorTable[code]
    const detail = code === 'internal' ? expect.stringContaining('request') : 'what happened'
    const requestId = answer.headers['x-request-id']
    expect(answer.status).toBe(http)
    expect(answer.headers['content-type']).toContain('application/problem+json')
    expect(answer.json()).toEqual({
      type: `/docs/errors#${code}`,
      title,
      status: http,
      detail,
      code,
      remedy,
      requestId,
    })
    expect(answer.headers['retry-after']).toBe(http === 503 ? '2' : undefined)
  })

  it('that nobody foresaw tells neither message nor stack, to the sender or the log', async () => {
    const { ask, lines } = await start({
      routes: app => app.get('/api/v1/fail', () => Promise.reject(new TypeError('Jane Canary is undefined'))),
    })
    const answer = await ask('/api/v1/fail', { headers: bearer })
    expect([answer.status, answer.json()]).toMatchObject([500, { code: 'internal' }])
    expect(answer.body + lines.join('')).not.toMatch(/Canary|gateway\/.*answer/)
    expect(lines.join('')).toContain('TypeError')
  })

  it('of the disk is told by its code', async () => {
    const full = Object.assign(new Error('ENOSPC: no space left, write /data/x'), { code: 'ENOSPC' })
    const { ask } = await start({ routes: app => app.get('/api/v1/fail', () => Promise.reject(full)) })
    const answer = await ask('/api/v1/fail', { headers: bearer })
    expect([answer.status, answer.body.includes('/data/x')]).toEqual([507, false])
  })

  it('of validation names the fields', async () => {
    const querystring = z.object({ limit: z.coerce.number().int().max(1000) })
    const { ask } = await start({
      routes: app => app.get('/api/v1/list', { schema: { querystring } }, async () => 'x'),
    })
    const answer = await ask('/api/v1/list?limit=5000', { headers: bearer })
    expect([answer.status, answer.json()]).toMatchObject([
      400,
      { code: 'bad-request', fields: [{ path: 'querystring.limit' }] },
    ])
  })

  it.each([
    ['JSON that is none', { 'content-type': 'application/json' }, '{', 400, 'bad-request'],
    ['a body that is too large', { 'content-type': 'application/json' }, `"${'x'.repeat(1100000)}"`, 413, 'too-large'],
    ['a content type that nobody reads', { 'content-type': 'text/rubbish' }, 'x', 415, 'not-an-image'],
  ])('of %s is a problem too', async (_name, headers, body, status, code) => {
    const { ask } = await start()
    const answer = await ask('/api/v1/change', { method: 'POST', headers: { ...bearer, ...headers }, body })
    expect([answer.status, answer.json()]).toMatchObject([status, { code, status }])
  })

  it('for a route that is not there is a problem', async () => {
    const { ask } = await start()
    const answer = await ask('/api/v1/nothing', { method: 'PUT', headers: bearer })
    expect([answer.status, answer.json()]).toMatchObject([404, { code: 'not-found' }])
    expect((await ask('/api/v1/nothing', { method: 'PUT' })).status).toBe(401)
  })
})

describe('the server', () => {
  it('sends headers that keep the page its own', async () => {
    const { ask } = await start()
    const { headers } = await ask('/page')
    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-store',
    })
    expect(headers['content-security-policy']).toMatch(/default-src 'self'.*script-src 'self';.*frame-ancestors 'none'/)
  })

  it('writes no token, cookie or query into its log', async () => {
    const { ask, lines } = await start()
    const cookie = await cookieOf(ask)
    await ask(`/api/v1/about?patient=Canary&token=${token}`, { headers: { ...bearer, cookie } })
    await ask(`/page?token=${token}`, { headers: { accept: 'text/html' } })
    await ask(`/Canary?token=${token}`, { method: 'POST' })
    const text = lines.join('')
    expect(text).toContain('/api/v1/about')
    expect(text).not.toMatch(new RegExp(`Canary|${token}|${cookie.split('=')[1]}`))
  })

  it('says 503 in health when a part fails, and how to mend it', async () => {
    const { ask, health } = await start()
    expect((await ask('/api/v1/monitoring/health', { headers: bearer })).status).toBe(200)
    health.register('objects', () => Promise.reject(new RaylogError('store-full', 'disk is full')))
    const answer = await ask('/api/v1/monitoring/health', { headers: bearer })
    expect([answer.status, answer.json()]).toMatchObject([
      503,
      { ok: false, parts: [{ part: 'objects', code: 'store-full' }] },
    ])
    expect((await ask('/healthz')).status).toBe(200)
  })

  it('gives metrics as Prometheus reads them', async () => {
    const { ask } = await start()
    const answer = await ask('/metrics', { headers: bearer })
    expect(answer.headers['content-type']).toContain('text/plain')
    expect(answer.body).toMatch(/^# HELP raylog_live_clients /m)
  })

  it('serves the API page from local files alone', async () => {
    const { ask } = await start()
    const page = await ask('/docs/', { headers: bearer })
    const own = page.status === 200 ? page : await ask('/docs', { headers: bearer })
    expect(own.status).toBe(200)
    expect(own.body).not.toMatch(/(?:src|href)="(?:https?:)?\/\//)
    for (const [, path = ''] of own.body.matchAll(/(?:src|href)="([^"]+)"/g)) {
      const url = new URL(path, 'http://x/docs/').pathname
      expect([url, (await ask(url, { headers: bearer })).status]).toEqual([url, 200])
    }
  })

  it('answers requests that come while it stops with a code', async () => {
    const entered = Promise.withResolvers<void>()
    const release = Promise.withResolvers<void>()
    const { app, ask } = await start({
      routes: server =>
        server.get('/api/v1/slow', async () => {
          entered.resolve()
          await release.promise
          return { done: true }
        }),
    })
    const slow = ask('/api/v1/slow', { headers: bearer })
    await entered.promise
    const closed = app.close()
    release.resolve()
    expect((await slow).status).toBe(200)
    await closed
  })
})
