/** multipart/related as it is sent (RFC 2387, PS3.18 8.6.1.2.1): each part only as fast as it is taken. */
import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'

export interface Part {
  headers: Readonly<Record<string, string>>
  body: AsyncIterable<Uint8Array>
}

/** @param type media type of the parts */
export function sendMultipart(reply: FastifyReply, type: string, parts: AsyncIterable<Part> | Iterable<Part>) {
  const boundary = `raylog-${randomUUID()}`
  return reply
    .header('content-type', `multipart/related; type="${type}"; boundary=${boundary}`)
    .send(Readable.from(encoded(parts, boundary), { objectMode: false }))
}

async function* encoded(parts: AsyncIterable<Part> | Iterable<Part>, boundary: string): AsyncGenerator<Uint8Array> {
  let lead = ''
  for await (const { headers, body } of parts) {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
    yield Buffer.from(`${lead}--${boundary}\r\n${lines.join('')}\r\n`)
    yield* body
    lead = '\r\n'
  }
  yield Buffer.from(`${lead}--${boundary}--\r\n`)
}
