/** WADO-RS: pictures (PS3.18 10.4.1.1.3) and thumbnails (10.4.1.1.4). */
import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { windowFunctions } from '../../schemas/dicomweb.ts'
import { RaylogError, toRaylogError } from '../../schemas/errors.ts'
import { etagOf, unchanged } from '../api/bytes.ts'
import { acceptedBy, refuse, takes } from './accept.ts'
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
