/** WADO-RS: frames (PS3.18 10.4.1.1.6), bulk data (10.4.1.1.5) and pictures (10.4.1.1.3). */
import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { compressedTypes, nativeSyntaxes, windowFunctions } from '../../schemas/dicomweb.ts'
import { RaylogError, toRaylogError } from '../../schemas/errors.ts'
import { etagOf, unchanged, unsatisfiable } from '../api/bytes.ts'
import { type Accepted, acceptedBy, refuse, takes } from './accept.ts'
import {
  baseUrl,
  type DicomwebContext,
  instanceOf,
  instancesOf,
  type Located,
  pathKeys,
  type Resource,
  seen,
  urlOf,
} from './context.ts'
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

/** PS3.18 8.3.5.1.4, as VOI LUT Function (0028,1056) has them. */
const windowPattern = new RegExp(`^-?\\d+(\\.\\d+)?,\\d+(\\.\\d+)?(,(${windowFunctions.join('|')}))?$`, 'i')

export const renderedQuery = z.object({
  accept: z.string().optional(),
  quality: z.coerce.number().int().min(1).max(100).optional().describe('of JPEG'),
  viewport: z
    .string()
    .regex(/^\d{1,4},\d{1,4}$/, 'width,height; parts of the image are not supported')
    .optional()
    .describe('width,height in pixels; the picture fits within, and is never enlarged'),
  window: z
    .string()
    .regex(windowPattern, `centre,width,function; function one of ${windowFunctions.join(', ')}`)
    .optional()
    .describe(`centre,width,function, in modality units; function one of ${windowFunctions.join(', ')}`),
})

export async function sendRendered(
  context: DicomwebContext,
  request: FastifyRequest,
  reply: FastifyReply,
  { frame, query, ...resource }: Required<Resource> & { frame: number; query: z.infer<typeof renderedQuery> },
) {
  const format = acceptedBy(request).flatMap(({ type }) => formatOf(type) ?? [])[0]
  if (format === undefined) refuse('image/jpeg and image/png')
  const render = rendering(context, format, query)
  const located = await instanceOf(context, resource)
  const { doc } = located
  context.audit.viewed(request, seen(located))
  const etag = etagOf(
    'rendered',
    doc.object.sha256,
    frame,
    format,
    query.viewport ?? '',
    query.window ?? '',
    query.quality ?? 0,
  )
  if (unchanged(request, reply, etag)) return reply.code(304).send()
  return reply.header('content-type', `image/${format}`).send(await render(located, frame))
}

/**
 * A picture of each image of a study or series, of its first frame, as its own `rendered` gives it: drawn one after the other, as
 * they are taken. What has no pixels is left out, which the status says; so is an image that cannot be decoded.
 */
export async function sendAllRendered(
  context: DicomwebContext,
  request: FastifyRequest,
  reply: FastifyReply,
  { query, ...resource }: Resource & { query: z.infer<typeof renderedQuery> },
) {
  const accepted = acceptedBy(request).flatMap(({ type, parts }) => {
    const many = type === 'multipart/related' || type === '*/*'
    const format = formatOf(many ? parts : type)
    return format === undefined ? [] : [{ format, many }]
  })
  const [best] = accepted
  if (best === undefined) refuse('multipart/related; type="image/jpeg" and type="image/png"')
  const { format } = best
  const render = rendering(context, format, query)
  const found = await instancesOf(context, resource)
  const images = found.filter(({ doc }) => doc.values['00280010'] !== undefined)
  const drawn = drawnOf(images, render)
  // The first before the headers of the answer, so that a fault of the store is told as a problem.
  const first = await drawn.next()
  if (first.done) throw new RaylogError('not-found', 'There is no image under this address that can be drawn.')
  const begun = first.value
  const type = `image/${format}`
  context.audit.sending(request, reply, images.map(seen))
  if (images.length < found.length)
    reply.code(206).header('warning', '299 raylog "Instances without pixels were left out"')
  if (images.length === 1 && !best.many) return reply.header('content-type', type).send(begun.picture)
  const base = baseUrl(request)
  async function* parts(): AsyncGenerator<Part> {
    for await (const { located, picture } of startedWith(begun, drawn)) {
      const { study, series, doc } = located
      yield {
        headers: {
          'Content-Type': type,
          'Content-Length': String(picture.length),
          'Content-Location': `${urlOf(base, { study, series, instance: doc.uid })}/rendered`,
        },
        body: Readable.from([picture]),
      }
    }
  }
  return sendMultipart(reply, type, parts())
}

type Render = (located: Located, frame: number) => Promise<Uint8Array>

async function* drawnOf(images: readonly Located[], render: Render) {
  for (const located of images) {
    try {
      yield { located, picture: await render(located, 1) }
    } catch (thrown) {
      if (toRaylogError(thrown).entry.verdict !== 'park') throw thrown
    }
  }
}

async function* startedWith<T>(first: T, rest: AsyncIterable<T>): AsyncGenerator<T> {
  yield first
  yield* rest
}

/** Of a media type that a client takes; undefined: no picture. */
const formatOf = (type: string | undefined): 'jpeg' | 'png' | undefined =>
  takes(type, 'image/jpeg') ? 'jpeg' : takes(type, 'image/png') ? 'png' : undefined

/** @throws RaylogError bad-request for what the query asks */
function rendering(
  { deps: { images } }: DicomwebContext,
  format: 'jpeg' | 'png',
  { viewport, window: asked, quality }: z.infer<typeof renderedQuery>,
): Render {
  const [width, height] = viewport?.split(',').map(Number) ?? []
  if (width === 0 || height === 0) throw new RaylogError('bad-request', 'viewport: width and height from 1')
  const window = windowOf(asked)
  return ({ doc }, frame) =>
    images.preview(
      { ...doc.object, contentType: 'application/dicom' },
      {
        frame,
        format,
        ...(width !== undefined && height !== undefined && { box: { width, height } }),
        ...(window && { window }),
        ...(quality !== undefined && { quality }),
      },
    )
}

/** @throws RaylogError bad-request */
function windowOf(text: string | undefined) {
  if (text === undefined) return undefined
  const [center = 0, width = 0] = text.split(',').slice(0, 2).map(Number)
  const said = text.split(',')[2]?.toLowerCase()
  const shape = windowFunctions.find(each => each === said) ?? 'linear'
  if (width === 0) throw new RaylogError('bad-request', 'window: the width is above 0')
  return { center, width, shape }
}

const thumbnailBox = '128,128'
/** Objects that are looked at for one with pixels: reports and the like come first in some studies. */
const mostLookedAt = 100

/** A small picture that stands for a study, series or instance (PS3.18 10.4.1.1.4): of its first image, its first frame. */
export async function sendThumbnail(
  context: DicomwebContext,
  request: FastifyRequest,
  reply: FastifyReply,
  { query, ...resource }: Resource & { query: z.infer<typeof renderedQuery> },
) {
  const asked = { level: 'IMAGE', keys: pathKeys(resource), counts: false, limit: mostLookedAt } as const
  for await (const { instance, series, study } of context.index.find(asked)) {
    if (!instance || !series || !study || instance.values['00280010'] === undefined) continue
    const one = { study: study.uid, series: series.uid, instance: instance.uid }
    return sendRendered(context, request, reply, { ...one, frame: 1, query: { viewport: thumbnailBox, ...query } })
  }
  throw new RaylogError('not-found', 'There is no image under this address.')
}
