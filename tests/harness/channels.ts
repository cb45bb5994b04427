/** The notify stage with one channel, one person and one rule, and receivers of what it sends: for the tests of channels. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { buffer } from 'node:stream/consumers'
import type { Logger } from 'pino'
import { expect } from 'vitest'
import { topics } from '../../schemas/topics.ts'
import { anAssessment, began } from '../gateway/samples.ts'
import type { Authority } from './certificates.ts'
import { HandClock } from './hand-clock.ts'
import { openNotify } from './notify.ts'
import { ownStores } from './own-stores.ts'

interface Received {
  body: string
  bytes: Buffer
  headers: IncomingHttpHeaders
}

const study = (over: object = {}) =>
  anAssessment(1, { completedAt: began, assessedAt: began, patient: 'pt_1', ...over })
export const finding = study().findings[0] ?? expect.unreachable('no finding')

export function channelTests() {
  const own = ownStores()
  const { closing } = own
  /** Stages that were told something, with what they put on the log. */
  const opened: Awaited<ReturnType<typeof openNotify>>[] = []

  /** A receiver on HTTP, or HTTPS with a certificate of the authority. */
  async function receiver(
    authority?: Authority,
    status: (headers: IncomingHttpHeaders) => number = () => 200,
    answer: (body: string) => string = () => 'ok',
  ) {
    const received: Received[] = []
    const made = authority?.issue({ name: 'localhost' })
    const tls = made && { cert: readFileSync(made.certFile), key: readFileSync(made.keyFile) }
    const server = tls ? createTlsServer(tls) : createServer()
    server.on('request', async (request, response) => {
      const bytes = await buffer(request).catch(() => null)
      if (!bytes) return // broken off by whoever sent it
      const body = bytes.toString()
      received.push({ body, bytes, headers: request.headers })
      response.writeHead(status(request.headers)).end(answer(body))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (typeof address !== 'object' || address === null) throw new Error('no port')
    closing.push(async () => {
      server.closeAllConnections()
      await new Promise<void>(resolve => server.close(() => resolve()))
    })
    return { received, url: `${tls ? 'https' : 'http'}://127.0.0.1:${address.port}/hook?token=hidden` }
  }

  /** One person by one channel, and one rule that tells of everything. */
  async function told(
    channel: object,
    options: { event?: object; rule?: object; showNames?: boolean; address?: string; logger?: Logger } = {},
  ) {
    const { event = {}, rule = {}, showNames = false, address, logger } = options
    const settings = {
      channels: [{ name: 'one', ...channel }],
      people: [{ name: 'martin', reach: [{ channel: 'one', ...(address && { address }) }] }],
      rules: [{ name: 'all', to: ['martin'], ...rule }],
      linkBase: 'https://raylog.h.example/',
      attempts: 1,
      tries: 1,
    }
    const stage = await openNotify(own.stores, settings, {
      clock: new HandClock(began),
      showNames,
      ...(logger && { logger }),
    })
    closing.push(() => stage.close())
    opened.push(stage)
    await stage.hand(topics.studies, study(event))
    return (await own.stores.documents.find('deliveries')).items
  }

  return Object.assign(own, { receiver, told, opened })
}
