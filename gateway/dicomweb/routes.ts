/** DICOMweb: QIDO-RS and WADO-RS (STOW-RS is a producer: producers/dicomweb). */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { QueryLevel } from '../../schemas/dicom-index.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { binary } from '../api/bytes.ts'
import type { App } from '../api/context.ts'
import { problems } from '../http/problem.ts'
import { type DicomwebContext, params, type Resource } from './context.ts'
import { renderedQuery, sendAllRendered, sendRendered, sendThumbnail } from './pictures.ts'
import { sendBulk, sendFrames } from './pixels.ts'
import { metadata, retrieve } from './retrieve.ts'
import { search } from './search.ts'

const tags = ['dicomweb']
const json = body('DICOM JSON model (PS3.18 Annex F)', 'application/dicom+json')
const objects = body('the objects', 'multipart/related')

function body(description: string, contentType: string) {
  return { description, content: { [contentType]: { schema: z.unknown() } } }
}

export function addDicomwebRoutes(app: App, context: DicomwebContext): void {
  addSearch(app, context)
  addRetrieve(app, context)
  addPixels(app, context)
}

function addSearch(app: App, context: DicomwebContext): void {
  const routes: [string, QueryLevel][] = [
    ['/studies', 'STUDY'],
    ['/series', 'SERIES'],
    ['/instances', 'IMAGE'],
    ['/studies/:study/series', 'SERIES'],
    ['/studies/:study/instances', 'IMAGE'],
    ['/studies/:study/series/:series/instances', 'IMAGE'],
  ]
  for (const [path, level] of routes) {
    const shape = path.includes(':series') ? params.series : path.includes(':study') ? params.study : z.object({})
    const schema = { tags, summary: `QIDO-RS: search, ${level.toLowerCase()} level`, params: shape }
    app.get(path, { schema: { ...schema, response: { 200: json, ...problems } } }, (request, reply) => {
      const above: Resource = request.params
      return search(context, request, reply, level, above)
    })
  }
}

type Answer = (
  context: DicomwebContext,
  request: FastifyRequest,
  reply: FastifyReply,
  resource: Resource,
) => Promise<FastifyReply>

function addRetrieve(app: App, context: DicomwebContext): void {
  const answers: [string, string, Answer, typeof json][] = [
    ['', 'objects', retrieve, objects],
    ['/metadata', 'metadata', metadata, json],
  ]
  for (const [end, what, answer, given] of answers) {
    const schema = { tags, summary: `WADO-RS: ${what}`, response: { 200: given, 206: given, ...problems } }
    app.get(`/studies/:study${end}`, { schema: { ...schema, params: params.study } }, (request, reply) =>
      answer(context, request, reply, request.params),
    )
    app.get(
      `/studies/:study/series/:series${end}`,
      { schema: { ...schema, params: params.series } },
      (request, reply) => answer(context, request, reply, request.params),
    )
    app.get(
      `/studies/:study/series/:series/instances/:instance${end}`,
      { schema: { ...schema, params: params.instance } },
      (request, reply) => answer(context, request, reply, request.params),
    )
  }
}

function addPixels(app: App, context: DicomwebContext): void {
  const instance = '/studies/:study/series/:series/instances/:instance'
  const octets = {
    200: binary('the bytes', 'multipart/related'),
    206: binary('a range', 'multipart/related'),
    ...problems,
  }
  app.get(
    `${instance}/frames/:frames`,
    { schema: { tags, summary: 'WADO-RS: frames', params: params.frames, response: octets } },
    (request, reply) => sendFrames(context, request, reply, request.params),
  )
  app.get(
    `${instance}/bulkdata/*`,
    {
      schema: {
        tags,
        summary: 'WADO-RS: bulk data',
        params: params.instance.extend({
          '*': z
            .string()
            .max(1_000)
            .regex(/^[0-9A-Fa-f/]+$/),
        }),
        response: octets,
      },
    },
    (request, reply) => {
      const { '*': path, ...resource } = request.params
      return sendBulk(context, request, reply, { ...resource, path })
    },
  )
  const picture = { 200: binary('the picture', 'image/jpeg'), ...problems }
  const rendered = { tags, summary: 'WADO-RS: rendered', querystring: renderedQuery, response: picture }
  const small = { ...rendered, summary: 'WADO-RS: thumbnail' }
  const pictures = body('a picture of each image', 'multipart/related')
  const all = { ...rendered, response: { 200: pictures, 206: pictures, ...problems } }
  const above = [
    ['/studies/:study', params.study],
    ['/studies/:study/series/:series', params.series],
  ] as const
  for (const [path, shape] of above)
    app.get(`${path}/rendered`, { schema: { ...all, params: shape } }, (request, reply) =>
      sendAllRendered(context, request, reply, { ...request.params, query: request.query }),
    )
  for (const [path, shape] of [...above, [instance, params.instance]] as const)
    app.get(`${path}/thumbnail`, { schema: { ...small, params: shape } }, (request, reply) => {
      const of: Resource = request.params
      return sendThumbnail(context, request, reply, { ...of, query: request.query })
    })
  app.get(`${instance}/rendered`, { schema: { ...rendered, params: params.instance } }, (request, reply) =>
    sendRendered(context, request, reply, { ...request.params, frame: 1, query: request.query }),
  )
  app.get(
    `${instance}/frames/:frames/rendered`,
    { schema: { ...rendered, params: params.frames } },
    (request, reply) => {
      const { frames, ...resource } = request.params
      if (frames.includes(',')) throw new RaylogError('bad-request', 'one frame at a time is rendered')
      return sendRendered(context, request, reply, { ...resource, frame: Number(frames), query: request.query })
    },
  )
}
