/** A web server that keeps what it is sent, and answers as told: the other end of webhooks. */
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { buffer } from 'node:stream/consumers'

export interface Received {
  headers: IncomingHttpHeaders
  body: string
  url: string
}

export interface Answer {
  status: number
  headers?: Record<string, string>
  body?: string
}

export interface Receiver extends AsyncDisposable {
  readonly url: string
  /** In the order in which they came. */
  readonly received: Received[]
}

/** @param answer to the nth request; `null` never answers */
export async function startReceiver(
  answer: (n: number) => Promise<Answer | null> | Answer | null = () => ({ status: 204 }),
): Promise<Receiver> {
  const received: Received[] = []
  const server = createServer(async (request, response) => {
    const body = await buffer(request).catch(() => null)
    if (!body) return // broken off by whoever sent it
    received.push({ headers: request.headers, body: body.toString(), url: request.url ?? '' })
    const told = await answer(received.length)
    if (told) response.writeHead(told.status, told.headers).end(told.body)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('no port')
  return {
    url: `http://127.0.0.1:${address.port}/hook?token=hidden`,
    received,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}
