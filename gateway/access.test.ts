import pino from 'pino'
import { afterEach, describe, expect, it } from 'vitest'
import { createHealth } from '../monitoring/health.ts'
import { createMetrics } from '../monitoring/metrics.ts'
import { platformConfig } from '../schemas/config.ts'
import { bearer, closeAll, cookieOf, open, start, token } from '../tests/gateway/bare.ts'
import { createHttp, listen } from './http.ts'

afterEach(closeAll)

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
    const config = { host: '192.0.2.1', port: 0 }
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
