/** POST /api/v1/instances: any number of files, each told on its own. */
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { errorTable, isErrorCode, RaylogError } from '../../schemas/errors.ts'
import { type Outcome, receiveStream } from '../files.ts'
import { hintFields, toHints } from './hints.ts'
import { filesOf } from './parts.ts'
import type { UploadContext } from './stage.ts'

const stored = z.object({
  file: z.string().describe("the sender's own name of it"),
  id: z.string(),
  study: z.string(),
  contentType: z.string(),
  bytes: z.int(),
  sha256: z.string(),
  modality: z.string().nullable(),
  bodyPart: z.string().nullable(),
  rows: z.int().nullable(),
  columns: z.int().nullable(),
  frames: z.int(),
})

const failed = z.object({
  file: z.string(),
  error: z.object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.string(),
    remedy: z.string(),
  }),
})

type Item = z.infer<typeof stored> | z.infer<typeof failed>

function toItem(outcome: Outcome): Item {
  if ('error' in outcome) {
    const { code, message, entry } = outcome.error
    const { title, http: status, remedy } = entry
    const detail = code === 'internal' ? title : message
    return { file: outcome.file, error: { type: `/docs/errors#${code}`, title, status, detail, code, remedy } }
  }
  const { id, study, object, facts } = outcome.received
  const { sha256, bytes, contentType } = object
  const { modality, bodyPart, rows, columns, frames } = facts
  return { file: outcome.file, id, study, contentType, bytes, sha256, modality, bodyPart, rows, columns, frames }
}

const items = z.object({ items: z.array(z.union([stored, failed])) })

/** Nothing was stored, and not for any fault of the files: then the whole request failed, and may be sent again. */
function outageOf(all: readonly Item[]): RaylogError | undefined {
  for (const item of all) {
    if (!('error' in item)) return undefined
    const { code, detail } = item.error
    if (isErrorCode(code) && errorTable[code].verdict === 'wait') return new RaylogError(code, detail)
  }
  return undefined
}

export function addInstancesRoute(app: FastifyInstance, context: UploadContext): void {
  const { config, deps, intake, rules } = context
  app.withTypeProvider<ZodTypeProvider>().post(
    '/api/v1/instances',
    {
      bodyLimit: Number.MAX_SAFE_INTEGER, // the files have their own limits
      schema: {
        tags: ['instances'],
        summary: 'Send images',
        description:
          'A form (multipart/form-data) with any number of files: DICOM, PNG, JPEG, TIFF, or ZIP archives of these. Fields before a file apply to it and those that follow. Or one file as the body, and the fields in the query. Each file is answered on its own; those that are answered with an id are stored for good.',
        consumes: [
          'multipart/form-data',
          'application/dicom',
          'image/png',
          'image/jpeg',
          'image/tiff',
          'application/zip',
        ],
        querystring: hintFields,
        response: {
          201: items.describe('At least one was stored; `error` says what is wrong with each of the others'),
          422: items.describe('None could be stored, and each says why'),
        },
      },
    },
    async (request, reply) => {
      const all: Item[] = []
      for await (const { name, chunks, fields } of filesOf(request, config)) {
        const hints = toHints(fields, deps.models, '/api/v1/instances')
        for await (const outcome of receiveStream(intake, name, chunks, hints, rules)) all.push(toItem(outcome))
        // A file that was refused early is read past, so that the next one can be.
        await chunks.return()
      }
      if (all.length === 0) throw new RaylogError('empty-upload', 'the form has no files')
      const outage = outageOf(all)
      if (outage) throw outage
      return reply.code(all.some(item => 'id' in item) ? 201 : 422).send({ items: all })
    },
  )
}
