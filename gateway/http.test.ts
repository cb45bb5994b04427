import { afterEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type ErrorCode, errorTable, RaylogError } from '../schemas/errors.ts'
import { bearer, closeAll, cookieOf, start, token } from '../tests/gateway/bare.ts'

afterEach(closeAll)

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
