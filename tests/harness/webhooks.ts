/** The notify stage with webhooks alone, and receivers that answer as told. */
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import { notify } from '../../consumers/notify/stage.ts'
import type { Clock } from '../../monitoring/clock.ts'
import { ownStores } from './own-stores.ts'
import { openForTest } from './stage.ts'
import { bareHttp } from './stores.ts'

export const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'

interface Received {
  headers: IncomingHttpHeaders
  body: string
  url: string
}

interface Answer {
  status: number
  headers?: Record<string, string>
  body?: string
}

/** Of no other sleep. */
export const lookMs = 59_999

/** Time that passes by itself when someone sleeps, but not between two looks, and notes for how long. */
export function quickClock(): Clock & { slept: number[]; at: number } {
  const clock = {
    at: Date.UTC(2026, 0, 1),
    slept: [] as number[],
    now: () => clock.at,
    async sleep(ms: number, signal?: AbortSignal) {
      signal?.throwIfAborted()
      if (ms === lookMs)
        return new Promise<void>((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
      clock.slept.push(ms)
      clock.at += ms
    },
  }
  return clock
}

export function webhookTests() {
  const own = ownStores()
  const { closing } = own

  /** A receiver that answers as told; `null` never answers. */
  async function receiver(answer: (n: number) => Answer | null = () => ({ status: 204 })) {
    const received: Received[] = []
    const server: Server = createServer(async (request, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk)
      received.push({ headers: request.headers, body: Buffer.concat(chunks).toString(), url: request.url ?? '' })
      const told = answer(received.length)
      if (told) response.writeHead(told.status, told.headers).end(told.body)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (typeof address !== 'object' || address === null) throw new Error('no port')
    closing.push(async () => {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    })
    return { url: `http://127.0.0.1:${address.port}/hook?token=hidden`, received }
  }

  async function open(
    webhooks: object[],
    { clock = quickClock() as Clock, ...settings }: { clock?: Clock; [key: string]: unknown } = {},
  ) {
    const stage = await openForTest(
      notify,
      { ...own.stores, http: bareHttp() },
      { clock, settings: { webhooks, lookMs, ...settings } },
    )
    closing.push(() => stage.close())
    return stage
  }

  const deliveries = async () => (await own.stores.documents.find('deliveries')).items
  const counted = async (outcome: string) => {
    const { values } = await own.stores.metrics.deliveries.get()
    return values.find(value => value.labels.outcome === outcome)?.value ?? 0
  }

  return Object.assign(own, { receiver, open, deliveries, counted })
}
