/** Instances: lists, everything known of one, its picture, its bytes. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { Instance } from '../../schemas/topics.ts'
import type { Seen } from '../accesses.ts'
import { problems } from '../http/problem.ts'
import { binary, etagOf, redirectToStore, sendObject, unchanged } from './bytes.ts'
import { type ApiContext, type App, found, page, where } from './context.ts'
import { explainInstance, explanationShape, historyOf } from './explain.ts'
import { patientIdentity } from './patient.ts'
import {
  deliveryShape,
  idParams,
  instanceAlone,
  instanceShape,
  listOf,
  paging,
  patientShape,
  predictionShape,
  reportShape,
  routeShape,
  word,
} from './shapes.ts'

const listQuery = z.object({ site: word, study: word, modality: word, source: word, patient: word, ...paging })

const detail = z.object({
  instance: instanceAlone,
  predictions: z.array(predictionShape),
  reports: z.array(reportShape),
  deliveries: z.array(deliveryShape),
  routes: z.array(routeShape).describe('which models take it, and why or why not'),
  patient: patientShape,
  sameUid: z
    .array(instanceShape)
    .describe('others of its SOP Instance UID that have other content, the newest first, 100 at most: all are kept'),
})

const previewQuery = z
  .object({
    frame: z.coerce.number().int().min(1).max(100_000).optional().describe('from 1'),
    size: z.coerce.number().int().min(16).max(4096).optional().describe('longest side, pixels'),
    center: z.coerce.number().min(-1e6).max(1e6).optional().describe('modality units'),
    width: z.coerce.number().gt(0).max(1e6).optional().describe('modality units'),
  })
  .refine(({ center, width }) => (center === undefined) === (width === undefined), {
    message: 'center and width belong together',
    path: ['width'],
  })
type PreviewQuery = z.infer<typeof previewQuery>

const tags = ['instances']

export function addInstanceRoutes(app: App, context: ApiContext): void {
  const { documents, objects } = context.deps
  const get = async (id: string) => found(await documents.get('instances', id), 'instance')

  async function othersOfItsUid({ id, site, dicom }: Instance): Promise<Instance[]> {
    if (dicom === null) return []
    const { items } = await documents.find('instances', {
      where: { site, 'dicom.sopInstance': dicom.sopInstance },
      limit: 101,
    })
    return items.filter(other => other.id !== id).slice(0, 100)
  }

  app.get(
    '/instances',
    {
      schema: { tags, summary: 'List', querystring: listQuery, response: { 200: listOf(instanceShape), ...problems } },
    },
    ({ query: { site, study, modality, source, patient, ...rest } }) =>
      documents.find('instances', {
        where: where({ site, study, modality, patient, 'source.kind': source }),
        ...page(rest),
      }),
  )
  app.get(
    '/instances/:id',
    { schema: { tags, summary: 'All that is known of one', params: idParams, response: { 200: detail, ...problems } } },
    async ({ params }) => {
      const instance = await get(params.id)
      const [{ predictions, reports, deliveries }, patient, sameUid] = await Promise.all([
        historyOf(documents, instance),
        patientIdentity(context, instance),
        othersOfItsUid(instance),
      ])
      const routes = context.deps.models.routes(instance)
      // Documents from before there was such a field have none.
      const alone = { ...instance, deidentified: instance.deidentified ?? null }
      return { instance: alone, predictions, reports, deliveries, routes, patient, sameUid }
    },
  )
  app.get(
    '/instances/:id/explain',
    {
      schema: {
        tags,
        summary: 'What happened to it at each stage, and why',
        params: idParams,
        response: { 200: explanationShape, ...problems },
      },
    },
    async ({ params }) => explainInstance(context.deps, await get(params.id)),
  )
  app.get(
    '/instances/:id/preview',
    {
      schema: {
        tags,
        summary: 'PNG, as the image is meant to be seen',
        params: idParams,
        querystring: previewQuery,
        response: { 200: binary('the picture', 'image/png'), ...problems },
      },
    },
    async (request, reply) => {
      const instance = await get(request.params.id)
      context.audit.viewed(request, seen(instance))
      return sendPreview(context, instance, request.query, request, reply)
    },
  )
  app.get(
    '/instances/:id/object',
    {
      schema: {
        tags,
        summary:
          'The stored bytes; Range of one range. A redirect to the object store where gateway.presignedSeconds is set',
        params: idParams,
        response: { 200: binary('as stored', 'application/octet-stream'), ...problems },
      },
    },
    async (request, reply) => {
      const instance = await get(request.params.id)
      const { id, object } = instance
      const { key, contentType } = object
      const fileName = `${id}.${extensions[contentType] ?? 'bin'}`
      const sending = { key, contentType, fileName, disposition: 'attachment' } as const
      const { presignedSeconds } = context
      if (presignedSeconds > 0 && objects.presign && request.method === 'GET') {
        context.audit.handedOver(request, reply, seen(instance), presignedSeconds)
        return redirectToStore(reply, objects, sending, presignedSeconds)
      }
      context.audit.sending(request, reply, [seen(instance)])
      return sendObject(request, reply, objects, sending)
    },
  )
}

const seen = ({ study, dicom, patient }: Instance): Seen => ({
  study: dicom?.study ?? study,
  ...{ patient, sopClass: dicom?.sopClass ?? '' },
})

const extensions: Readonly<Record<string, string>> = {
  'application/dicom': 'dcm',
  'image/png': 'png',
  'image/jpeg': 'jpg',
  'image/tiff': 'tif',
}

async function sendPreview(
  { deps }: ApiContext,
  { object }: Instance,
  { frame, size, center, width }: PreviewQuery,
  request: FastifyRequest,
  reply: FastifyReply,
) {
  const etag = etagOf('preview', object.sha256, frame ?? 1, size ?? 0, center ?? '', width ?? '')
  if (unchanged(request, reply, etag)) return reply.code(304).send()
  const png = await deps.images.preview(object, {
    ...(frame !== undefined && { frame }),
    ...(size !== undefined && { size }),
    ...(center !== undefined && width !== undefined && { window: { center, width } }),
  })
  return reply.type('image/png').send(png)
}
