/** One POST to a destination. Redirects are not followed: a report goes where the settings say, and nowhere else. */
import { type IncomingHttpHeaders, request as plain } from 'node:http'
import { request as secure } from 'node:https'
import type { SecureContextOptions } from 'node:tls'
import { Undelivered } from './sender.ts'

export interface Post {
  /** Name of the destination, for messages: URLs may hold secrets. */
  name: string
  url: string
  headers: Record<string, string>
  body: readonly Buffer[]
  tls: SecureContextOptions
  timeoutMs: number
}

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: string
}

/** More of an answer is not read, bytes. */
const mostAnswerBytes = 1024 * 1024
/** The connection was never there, so nothing has arrived. */
const neverThere = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'])

/** @throws Undelivered where there is no answer; the signal's reason when aborted */
export async function post({ name, url, headers, body, tls, timeoutMs }: Post, signal: AbortSignal): Promise<Answer> {
  const late = AbortSignal.timeout(timeoutMs)
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const length = body.reduce((sum, { length: bytes }) => sum + bytes, 0)
  const options = {
    method: 'POST',
    headers: { ...headers, 'content-length': length, 'user-agent': 'Raylog' },
    signal: AbortSignal.any([signal, late]),
  }
  const sending = url.startsWith('https:')
    ? secure(url, { ...options, minVersion: 'TLSv1.2', ...tls })
    : plain(url, options)
  sending.on('error', reject)
  sending.on('response', response => {
    const parts: Buffer[] = []
    let size = 0
    response.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size <= mostAnswerBytes) parts.push(chunk)
    })
    response.on('error', reject)
    response.on('end', () =>
      resolve({
        status: response.statusCode ?? 0,
        headers: response.headers,
        body: size <= mostAnswerBytes ? Buffer.concat(parts).toString('utf8') : '',
      }),
    )
  })
  for (const part of body) sending.write(part)
  sending.end()
  try {
    return await promise
  } catch (cause) {
    signal.throwIfAborted()
    const code = late.aborted ? 'timed-out' : 'peer-unavailable'
    const reason = late.aborted ? `no answer within ${timeoutMs} ms` : networkCode(cause)
    throw new Undelivered(`${name}: ${reason}`, {
      ...{ code, answered: false, cause, mayHaveArrived: !neverThere.has(networkCode(cause)) },
    })
  }
}

const networkCode = (thrown: unknown): string =>
  thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : 'network error'

/** What is wrong with the report itself, by the status. */
const faults = new Set([400, 406, 409, 410, 412, 413, 415, 422])

/**
 * An answer that is not 2xx. What concerns all reports alike (a wrong login, a wrong URL, a server in trouble) is no refusal of this
 * one: it waits, and the destination is left alone.
 * @param passing of the statuses that are a fault of the report, those that are none here
 */
export function unsuccessful(
  name: string,
  { status, headers }: Answer,
  now: number,
  passing: readonly number[] = [],
): Undelivered {
  const passes = passing.includes(status)
  const final = faults.has(status) && !passes
  return new Undelivered(`${name} answered HTTP ${status}`, {
    code: final ? 'peer-refused' : status === 401 || status === 403 ? 'peer-unavailable' : 'delivery-failed',
    final,
    answered: final || passes || status === 429,
    retryAfterMs: retryAfter(headers['retry-after'], now),
    mayHaveArrived: status >= 500,
  })
}

/** Seconds, or an HTTP date (RFC 9110 10.2.3), as ms from now; null for neither. */
function retryAfter(text: string | undefined, now: number): number | null {
  if (text === undefined) return null
  if (/^\d{1,6}$/.test(text.trim())) return Number(text) * 1000
  const at = Date.parse(text)
  return Number.isNaN(at) ? null : Math.max(0, at - now)
}
