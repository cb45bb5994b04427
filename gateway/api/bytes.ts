/** Stored bytes over HTTP: ranges, entity tags, names that are safe in a header (RFC 9110, RFC 6266). */
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { RaylogError } from '../../schemas/errors.ts'
import { reportTypes } from '../../schemas/report-types.ts'
import type { ObjectRange, ObjectStore } from '../../storage/objects.ts'
import { problemOf, sendProblem } from '../http/problem.ts'

/** For the OpenAPI document: a body of bytes. */
export const binary = (description: string, contentType: string) => ({
  description,
  content: { [contentType]: { schema: z.unknown().meta({ type: 'string', format: 'binary' }) } },
})

export interface Sending {
  key: string
  contentType: string
  /** Only letters, digits, `._-`. */
  fileName: string
  disposition: 'inline' | 'attachment'
}

/** What a browser may be told that stored bytes are; the rest is for saving only. */
const knownTypes = new Set<string>([
  ...Object.values(reportTypes).map(({ contentType }) => contentType),
  'application/dicom',
  'image/png',
  'image/jpeg',
  'image/tiff',
])

const lasting = 'private, max-age=31536000, immutable'

export const etagOf = (...parts: (string | number)[]): string =>
  `"${createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 32)}"`

/** Content under a digest does not change: true where the client has it already. */
export function unchanged(request: FastifyRequest, reply: FastifyReply, etag: string): boolean {
  reply.headers({ etag, 'cache-control': lasting })
  const tags = request.headers['if-none-match']?.split(',').map(tag => tag.trim().replace(/^W\//, ''))
  return tags !== undefined && (tags.includes(etag) || tags.includes('*'))
}

/** @throws RaylogError object-missing */
export async function sendObject(request: FastifyRequest, reply: FastifyReply, objects: ObjectStore, sending: Sending) {
  const stat = await objects.stat(sending.key)
  if (stat === undefined) throw new RaylogError('object-missing', 'The stored object is not there any more.')
  const etag = etagOf(sending.key)
  if (unchanged(request, reply, etag)) return reply.code(304).send()
  const wanted = rangeOf(request, etag, stat.bytes)
  if (wanted === 'unsatisfiable') return unsatisfiable(request, reply, stat.bytes)
  const { start, end } = wanted ?? { start: 0, end: stat.bytes - 1 }
  // A stream, even of nothing, leaves the length to us. Opened before the headers: if it is gone by now, the answer is a problem.
  const empty = request.method === 'HEAD' || stat.bytes === 0
  const body = empty ? Readable.from([]) : await objects.stream(sending.key, { start, end })
  reply.code(wanted ? 206 : 200).headers({
    'accept-ranges': 'bytes',
    'content-type': knownTypes.has(sending.contentType) ? sending.contentType : 'application/octet-stream',
    'content-disposition': `${sending.disposition}; filename="${sending.fileName.replace(/[^A-Za-z0-9._-]/g, '_')}"`,
    'content-length': String(end - start + 1),
    // Stored bytes run nothing; a PDF viewer inside the browser needs its own styles, so nothing more is said.
    'content-security-policy': "script-src 'none'; frame-ancestors 'none'",
    ...(wanted && { 'content-range': `bytes ${start}-${end}/${stat.bytes}` }),
  })
  return reply.send(body)
}

/**
 * Sends the client to the object store itself, with a URL that reads this object for so long without credentials. It is not kept,
 * and no page that is open is told where it leads. The store answers ranges; not HEAD, for which it is not signed.
 * @throws RaylogError object-missing
 */
export async function redirectToStore(reply: FastifyReply, objects: ObjectStore, sending: Sending, seconds: number) {
  if ((await objects.stat(sending.key)) === undefined)
    throw new RaylogError('object-missing', 'The stored object is not there any more.')
  const url = await objects.presign?.(sending.key, seconds, sending.fileName)
  if (url === undefined) throw new RaylogError('object-missing', 'The object store gives no signed URLs.')
  return reply.redirect(url, 307)
}

/** RFC 9110 14.2: one range of bytes; anything else, or an If-Range that does not match, means the whole. */
function rangeOf(request: FastifyRequest, etag: string, bytes: number): ObjectRange | 'unsatisfiable' | undefined {
  const ifRange = request.headers['if-range']
  const match = /^bytes=(\d*)-(\d*)$/.exec(request.headers.range ?? '')
  if (!match || (ifRange !== undefined && ifRange !== etag)) return undefined
  const [, from = '', to = ''] = match
  if (from === '' && to === '') return undefined
  const start = from === '' ? Math.max(0, bytes - Number(to)) : Number(from)
  const end = from === '' || to === '' ? bytes - 1 : Math.min(Number(to), bytes - 1)
  if (from !== '' && to !== '' && Number(to) < Number(from)) return undefined
  return start >= bytes || (from === '' && Number(to) === 0) ? 'unsatisfiable' : { start, end }
}

/** 416, and how many bytes there are. */
export function unsatisfiable(request: FastifyRequest, reply: FastifyReply, bytes: number) {
  reply.removeHeader('etag').header('content-range', `bytes */${bytes}`)
  const problem = problemOf(new RaylogError('bad-request', `The range lies outside of ${bytes} bytes.`), request.id)
  return sendProblem(reply, { ...problem, status: 416 })
}
