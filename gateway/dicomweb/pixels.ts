/** WADO-RS: frames (PS3.18 10.4.1.1.6) and bulk data (10.4.1.1.5). */
import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { compressedTypes, nativeSyntaxes } from '../../schemas/dicomweb.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { unsatisfiable } from '../api/bytes.ts'
import { type Accepted, acceptedBy, refuse, takes } from './accept.ts'
import { baseUrl, type DicomwebContext, instanceOf, type Resource, seen, urlOf } from './context.ts'
import { type Part, sendMultipart } from './multipart.ts'

const octets = 'application/octet-stream'
const explicitLittle = '1.2.840.10008.1.2.1'

/** How frames are given: as they are stored, under which media type, or uncompressed. */
type Delivery = { stored: true; type: string } | { stored: false }

function deliveryOf(
  accepted: readonly Accepted[],
  encapsulated: boolean,
  transferSyntax: string,
): Delivery | undefined {
  const compressed = encapsulated ? compressedTypes[transferSyntax] : undefined
  for (const { type, parts, transferSyntax: asked } of accepted) {
    const inner = type === 'multipart/related' || type === '*/*' ? parts : type
    if (takes(inner, octets)) {
      // Octets of no stated syntax are uncompressed (PS3.18 8.7.3.5.2); `*` takes what there is.
      if (asked === '*' || asked === transferSyntax) return { stored: true, type: octets }
      if (asked === undefined || nativeSyntaxes.includes(asked)) return { stored: false }
    }
    const fits = asked === undefined || asked === '*' || asked === transferSyntax
    if (compressed !== undefined && takes(inner, compressed.toLowerCase()) && fits)
      return { stored: true, type: compressed }
  }
  return undefined
}

export async function sendFrames(
  context: DicomwebContext,
  request: FastifyRequest,
  reply: FastifyReply,
  { frames: list, ...resource }: Required<Resource> & { frames: string },
) {
  const accepted = acceptedBy(request)
  const located = await instanceOf(context, resource)
  context.audit.viewed(request, seen(located))
  const frames = await context.deps.images.dicom.frames(located.doc.object)
  const numbers = list.split(',').map(Number)
  const missing = numbers.find(number => !frames.has(number))
  if (missing !== undefined) throw new RaylogError('not-found', `There is no frame ${missing} of ${frames.count}.`)
  const { encapsulated, littleEndian, transferSyntax } = frames
  const delivery = deliveryOf(accepted, encapsulated, transferSyntax)
  if (delivery === undefined) refuse(`multipart/related; type="${octets}"; transfer-syntax=*`)
  const asIs = delivery.stored ? encapsulated || littleEndian : !encapsulated && littleEndian
  const type = delivery.stored ? delivery.type : octets
  const syntax = asIs && encapsulated ? transferSyntax : explicitLittle
  const base = baseUrl(request)
  async function* parts(): AsyncGenerator<Part> {
    for (const number of numbers) {
      const decoded = asIs ? undefined : await frames.decoded(number)
      yield {
        headers: {
          'Content-Type': `${type}; transfer-syntax=${syntax}`,
          'Content-Length': String(decoded?.length ?? frames.bytesOf(number)),
          'Content-Location': `${urlOf(base, resource)}/frames/${number}`,
        },
        body: decoded === undefined ? frames.stored(number) : Readable.from([decoded]),
      }
    }
  }
  const all = parts()
  // The first before the headers of the answer, so that a frame that cannot be decoded is told as a problem.
  const first = await all.next()
  async function* rest() {
    if (!first.done) yield first.value
    yield* all
  }
  const single = numbers.length === 1 && accepted[0]?.type === type.toLowerCase()
  if (single && !first.done) {
    const { 'Content-Type': contentType = type, 'Content-Length': length = '0' } = first.value.headers
    return reply
      .headers({ 'content-type': contentType, 'content-length': length })
      .send(Readable.from(first.value.body, { objectMode: false }))
  }
  return sendMultipart(reply, type, rest())
}

export async function sendBulk(
  context: DicomwebContext,
  request: FastifyRequest,
  reply: FastifyReply,
  { path, ...resource }: Required<Resource> & { path: string },
) {
  const accepted = acceptedBy(request).filter(
    ({ type, parts }) => takes(type, octets) || (takes(type, 'multipart/related') && takes(parts, octets)),
  )
  const located = await instanceOf(context, resource)
  const { doc } = located
  const value = await context.deps.images.dicom.bulk(doc.object, path.toUpperCase())
  if (value === undefined) {
    if (!/^7fe000(08|09|10)$/i.test(path)) throw new RaylogError('not-found', 'There is no bulk data of this path.')
    // Encapsulated pixels are given frame by frame, a video as a whole (PS3.18 8.7.3.2).
    const { count } = await context.deps.images.dicom.frames(doc.object)
    const frames = Array.from({ length: count }, (_, index) => index + 1).join(',')
    return sendFrames(context, request, reply, { ...resource, frames })
  }
  if (accepted.length === 0) refuse(`multipart/related; type="${octets}"`)
  context.audit.viewed(request, seen(located))
  const range = rangeOf(request.headers.range, value.bytes)
  if (range === 'unsatisfiable') return unsatisfiable(request, reply, value.bytes)
  const { start, end } = range ?? { start: 0, end: value.bytes }
  if (range !== undefined) reply.code(206).header('content-range', `bytes ${start}-${end - 1}/${value.bytes}`)
  const body = value.read(start, end)
  const location = `${urlOf(baseUrl(request), resource)}/bulkdata/${path}`
  if (accepted[0]?.type === octets)
    return reply
      .headers({ 'content-type': octets, 'content-length': String(end - start), 'accept-ranges': 'bytes' })
      .send(body)
  const headers = {
    'Content-Type': octets,
    'Content-Length': String(end - start),
    'Content-Location': location,
    ...(range !== undefined && { 'Content-Range': `bytes ${start}-${end - 1}/${value.bytes}` }),
  }
  return sendMultipart(reply, octets, [{ headers, body }])
}

/** One range of bytes, its end not included; undefined: the whole. */
function rangeOf(
  header: string | undefined,
  bytes: number,
): { start: number; end: number } | 'unsatisfiable' | undefined {
  const [, from = '', to = ''] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.trim() ?? '') ?? []
  if (from === '' && to === '') return undefined
  const start = from === '' ? Math.max(0, bytes - Number(to)) : Number(from)
  const end = from === '' || to === '' ? bytes : Math.min(Number(to) + 1, bytes)
  return start >= bytes || end <= start ? 'unsatisfiable' : { start, end }
}
