/** Calls to an S3 server: signed by the client, tried again where that may help, ended where it takes too long. */
import type { IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import type { Client } from 'minio'
import type { Clock } from '../../monitoring/clock.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { within } from '../outage.ts'
import { fromS3, mayPass } from './errors.ts'

/** Attempts at one call. */
const mostAttempts = 4
/** Before the second attempt, doubled each time, half of it by chance, ms. */
const backoffMs = 100
/** A transfer may take as long as this rate needs, on top of the deadline of a call, bytes/ms. */
const slowest = 256

const emptyDigest = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

export interface Request {
  method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  objectName: string
  headers?: Record<string, string | number>
  query?: string
  /** Made anew for each attempt: a stream can be read once. */
  body?: () => Buffer | Readable
  /** SHA-256 of the body, hex: it is part of the signature, so a server takes no other bytes. */
  digest?: string
  statuses: number[]
}

export interface Caller {
  readonly client: Client
  readonly bucket: string
  /** The answer, its body read. `bytes` are those that the call moves. */
  send(request: Request, bytes?: number, key?: string): Promise<Answer>
  /** The answer with its body still to be read. The connection is free again when that has ended or was destroyed. */
  open(request: Request, key?: string): Promise<IncomingMessage>
  /** The body of the answer, however large it turns out to be. */
  read(request: Request, key?: string): Promise<Buffer>
  /** Does the work again where its error may pass. @throws RaylogError */
  attempt<T>(work: () => Promise<T>, bytes?: number, key?: string): Promise<T>
  /** From here on every call is refused, and those under way end. */
  close(): void
}

export interface Answer {
  headers: IncomingMessage['headers']
  body: Buffer
}

export interface CallerParts {
  client: Client
  bucket: string
  region: string
  clock: Clock
  random: () => number
  deadlineMs: number
}

export function createCaller({ client, bucket, region, clock, random, deadlineMs }: CallerParts): Caller {
  let closed = false
  const stopping = () => new RaylogError('stopping', 'the object store is closed')

  async function attempts<T>(work: () => Promise<T>, over: AbortSignal): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      if (closed) throw stopping()
      try {
        return await work()
      } catch (thrown) {
        if (closed) throw stopping()
        if (attempt === mostAttempts || over.aborted || !mayPass(thrown)) throw thrown
      }
      const full = backoffMs * 2 ** (attempt - 1)
      await clock.sleep(full / 2 + (random() * full) / 2, over)
    }
  }

  async function attempt<T>(work: () => Promise<T>, bytes = 0, key?: string): Promise<T> {
    const over = new AbortController()
    try {
      return await within(clock, deadlineMs + bytes / slowest, 'the object store', attempts(work, over.signal))
    } catch (thrown) {
      throw fromS3(thrown, key)
    } finally {
      over.abort()
    }
  }

  async function request({ body, digest = emptyDigest, statuses, ...options }: Request): Promise<IncomingMessage> {
    const payload = body?.() ?? ''
    return await client.makeRequestStreamAsync({ ...options, bucketName: bucket }, payload, digest, statuses, region)
  }

  const open = (options: Request, key?: string) => attempt(() => request(options), 0, key)

  async function read(options: Request, key?: string): Promise<Buffer> {
    for (let attempt = 1; ; attempt++) {
      const response = await open(options, key)
      const ms = deadlineMs + Number(response.headers['content-length'] ?? 0) / slowest
      try {
        return Buffer.concat(await within(clock, ms, 'the object store', response.toArray()))
      } catch (thrown) {
        response.destroy()
        if (attempt === 2 || !mayPass(thrown)) throw fromS3(thrown, key)
      }
    }
  }

  return {
    client,
    bucket,
    attempt,
    open,
    read,
    send: (options, bytes = 0, key) =>
      attempt(
        async () => {
          const response = await request(options)
          return { headers: response.headers, body: Buffer.concat(await response.toArray()) }
        },
        bytes,
        key,
      ),
    close() {
      closed = true
    },
  }
}
