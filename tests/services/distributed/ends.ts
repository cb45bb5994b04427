/**
 * Where results go, each a server that counts what a receiver of its kind can count. They answer slowly enough for a kill to
 * meet something under way.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { z } from 'zod'
import { controlIdOf, frame } from '../../../hl7/mllp.ts'
import { type MailServer, startMail } from '../../harness/mail.ts'

const answerMs = 200

/** How many are being answered. */
export interface Busy {
  readonly busy: number
}

/** Answers after a while, and counts until then. */
function pauses() {
  let busy = 0
  return {
    busy: () => busy,
    async pause(): Promise<void> {
      busy++
      await wait(answerMs)
      busy--
    },
  }
}

/** How often each came, by what a receiver knows it again by. */
export type Counts = Map<string, number>

export interface HttpEnd extends AsyncDisposable, Busy {
  readonly url: string
}

async function startHttp(take: (request: IncomingMessage, body: string) => string): Promise<HttpEnd> {
  const { busy, pause } = pauses()
  const server = createServer(async (request, response) => {
    // A sender that is killed breaks off, which is none of this server's doing.
    const body = await request.toArray().catch(() => null)
    if (body === null) return response.destroy()
    const answer = take(request, Buffer.concat(body).toString())
    await pause()
    return response.end(answer)
  }).listen(0, '127.0.0.1')
  server.on('clientError', (_error, socket) => socket.destroy())
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get busy() {
      return busy()
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(done => server.close(done))
    },
  }
}

const bundle = z.object({
  type: z.literal('transaction'),
  entry: z.array(
    z.looseObject({
      resource: z.looseObject({
        resourceType: z.string(),
        meta: z.looseObject({ tag: z.array(z.object({ code: z.string() })) }).optional(),
      }),
    }),
  ),
})

/** Takes transactions; known by the revision that their Provenance is of. */
export async function startFhirEnd(): Promise<HttpEnd & { counts: Counts }> {
  const counts: Counts = new Map()
  const http = await startHttp((_request, body) => {
    const entries = bundle.parse(JSON.parse(body)).entry.map(({ resource }) => resource)
    const revision = entries.find(({ resourceType }) => resourceType === 'Provenance')?.meta?.tag[0]?.code ?? 'none'
    counts.set(revision, (counts.get(revision) ?? 0) + 1)
    return JSON.stringify({ resourceType: 'Bundle', type: 'transaction-response', entry: [] })
  })
  return Object.assign(http, { counts })
}

/** A copy of a message to people, by any channel. */
export interface Copy {
  id: string
  /** Id of what it tells of. */
  notice: string
  redelivered: boolean
}

export const secret = 'a-secret-of-sixteen-characters'

const hookBody = z.object({ data: z.object({ notification: z.string() }) })
const noticeOf = (body: string): string => hookBody.parse(JSON.parse(body)).data.notification

/** Takes webhooks, and keeps those whose signature is of our secret. */
export async function startHookEnd(): Promise<HttpEnd & { copies: Copy[]; forged: () => number }> {
  const copies: Copy[] = []
  let forged = 0
  const http = await startHttp(({ headers }, body) => {
    const id = String(headers['webhook-id'])
    const signed = createHmac('sha256', secret).update(`${id}.${headers['webhook-timestamp']}.${body}`).digest()
    const given = Buffer.from(String(headers['webhook-signature']).replace('v1,', ''), 'base64')
    if (given.length === signed.length && timingSafeEqual(given, signed))
      copies.push({ id, notice: noticeOf(body), redelivered: headers['raylog-redelivered'] === 'true' })
    else forged++
    return ''
  })
  return Object.assign(http, { copies, forged: () => forged })
}

/** A mail server that takes its time. */
export async function startMailEnd(): Promise<MailServer & Busy> {
  const server = await startMail()
  const { busy, pause } = pauses()
  server.onMail = pause
  return Object.defineProperty(server, 'busy', { get: busy }) as MailServer & Busy
}

export interface Hl7End extends AsyncDisposable, Busy {
  readonly port: number
  /** By control id. */
  readonly counts: Counts
}

/** Acknowledges every message. */
export async function startHl7End(): Promise<Hl7End> {
  const counts: Counts = new Map()
  const open = new Set<Socket>()
  const { busy, pause } = pauses()
  const server = createTcpServer(socket => {
    open.add(socket)
    let held = Buffer.alloc(0)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => open.delete(socket))
    socket.on('data', async (bytes: Buffer) => {
      held = Buffer.concat([held, bytes])
      const end = held.indexOf('\x1c\r')
      if (end < 0) return
      const id = controlIdOf(held.subarray(1, end))
      held = held.subarray(end + 2)
      counts.set(id, (counts.get(id) ?? 0) + 1)
      await pause()
      socket.write(frame(Buffer.from(`MSH|^~\\&|RIS\rMSA|AA|${id}\r`)))
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    counts,
    get busy() {
      return busy()
    },
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy()
      await new Promise(done => server.close(done))
    },
  }
}
