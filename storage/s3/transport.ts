/** HTTP to an S3 server, with connections that are kept, and that end when nothing moves on them for too long. */
import http, { type ClientRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import https from 'node:https'

type Answered = (response: IncomingMessage) => void

export interface Transport {
  request(target: string | URL | RequestOptions, second?: RequestOptions | Answered, third?: Answered): ClientRequest
}

export interface Connections {
  transport: Transport
  agent: http.Agent
}

/** Nothing moved for so long, in either direction. */
export class SilentError extends Error {
  readonly code = 'ETIMEDOUT'
}

/** What the client throws as a bare message, without reading the answer. */
const unread = new Set([408, 429, 499, 500, 502, 503, 504, 520])

/**
 * @param silentMs a connection on which nothing moves for so long is ended, also one that is being made
 * @param connections at most
 */
export function openConnections(secure: boolean, silentMs: number, connections: number): Connections {
  const base = secure ? https : http
  const agent = new base.Agent({ keepAlive: true, maxSockets: connections, timeout: silentMs })

  function watch(request: ClientRequest): ClientRequest {
    let response: IncomingMessage | undefined
    request.once('response', answer => {
      response = answer
      if (unread.has(answer.statusCode ?? 0)) answer.resume()
    })
    request.on('timeout', () => {
      // It is our reader who is slow, not the server: wait again.
      const behind = response && response.readableLength >= response.readableHighWaterMark
      if (behind || response?.complete) request.socket?.setTimeout(silentMs)
      else request.destroy(new SilentError(`nothing from the object store for ${silentMs} ms`))
    })
    return request
  }

  return {
    agent,
    transport: {
      request(target, second, third) {
        const made =
          typeof second === 'object' ? base.request(target.toString(), second, third) : base.request(target, second)
        return watch(made)
      },
    },
  }
}
