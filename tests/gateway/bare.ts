/** The HTTP server alone, without a stage, asked byte by byte. */
import { request } from 'node:http'
import { Writable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import pino from 'pino'
import { createHttp, listen } from '../../gateway/http.ts'
import { createHealth } from '../../monitoring/health.ts'
import { createMetrics } from '../../monitoring/metrics.ts'
import { platformConfig } from '../../schemas/config.ts'

export const token = 'a-token-of-more-than-16-characters'
export const bearer = { authorization: `Bearer ${token}` }
export const open: FastifyInstance[] = []

/** For afterEach: closes what a test has started. */
export const closeAll = () => Promise.all(open.splice(0).map(app => app.close()))

export interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
  body: string
  json(): unknown
}

export async function start(options: { http?: object; routes?: (app: FastifyInstance) => void } = {}) {
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

export async function cookieOf(ask: Awaited<ReturnType<typeof start>>['ask']): Promise<string> {
  const { headers } = await ask(`/page?token=${token}`, { headers: { accept: 'text/html' } })
  return String(headers['set-cookie']).split(';', 1)[0] ?? ''
}
