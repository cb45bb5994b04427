/** POST /api/v1/predictions: one image in, what the models say of it out. */
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { isErrorCode, RaylogError } from '../../schemas/errors.ts'
import { type Instance, type Prediction, topics } from '../../schemas/topics.ts'
import { type HintFields, hintFields, toHints } from './hints.ts'
import { filesOf, type UploadedFile } from './parts.ts'
import type { UploadContext } from './stage.ts'

const modelRef = z.looseObject({ name: z.string(), version: z.string() })
const answer = z.object({
  instance: z.looseObject({ id: z.string(), study: z.string() }).describe('as on the log'),
  predictions: z
    .array(
      z.looseObject({
        id: z.string(),
        instance: z.string(),
        model: modelRef,
        label: z.string(),
        score: z.number().describe('0..1'),
        threshold: z.number().nullable(),
        confidence: z.number().describe('0..1'),
        probabilities: z.record(z.string(), z.number()),
      }),
    )
    .describe('one for each model that takes the image'),
})

const nameOf = ({ name, version }: { name: string; version: string }) => `${name}@${version}`

/** Collects what is said of one instance from the moment that `begin` is called until every model has answered. */
function createWait({ deps }: UploadContext) {
  const done = Promise.withResolvers<Prediction[]>()
  done.promise.catch(() => undefined)
  const stops: (() => void)[] = []
  return {
    done: done.promise,
    begin(event: Instance): void {
      const routes = deps.models.routes(event)
      const missing = new Set(routes.filter(route => route.accepted).map(route => nameOf(route.model)))
      if (missing.size === 0) {
        const reasons = routes.map(route => `${nameOf(route.model)}: ${route.reason}`).join('; ')
        done.reject(
          new RaylogError('model-refused', `no model takes it (${reasons || 'none is loaded'}); stored as ${event.id}`),
        )
        return
      }
      const found: Prediction[] = []
      stops.push(
        deps.tail.listen(topics.predictions, prediction => {
          if (prediction.instance !== event.id || prediction.replay !== null) return
          if (!missing.delete(nameOf(prediction.model))) return
          found.push(prediction)
          if (missing.size === 0) done.resolve(found)
        }),
        deps.tail.listen(topics.parked, ({ subject, code, message }) => {
          if (subject !== event.id || !isErrorCode(code)) return
          done.reject(new RaylogError(code, `${message}; stored as ${event.id}`))
        }),
      )
    },
    end(): void {
      for (const stop of stops.splice(0)) stop()
    },
  }
}

async function receiveOnly(
  context: UploadContext,
  files: AsyncGenerator<UploadedFile, void, undefined>,
  begin: (event: Instance) => void,
) {
  const { intake, deps, rules } = context
  const first = await files.next()
  if (first.done) throw new RaylogError('empty-upload', 'the form has no file')
  const { chunks, fields }: { chunks: UploadedFile['chunks']; fields: HintFields } = first.value
  const hints = toHints(fields, deps.models, '/api/v1/predictions')
  let event: Instance | undefined
  const beforePublish = (stored: Instance) => {
    event = stored
    begin(stored)
  }
  await intake.receive(chunks, { ...hints, beforePublish }, rules.signal)
  if (!event) throw new RaylogError('internal', 'received without an event')
  return event
}

/** Rejects after so long, saying where the result will be. The caller clears it. */
function deadline(id: string, ms: number): { late: Promise<never>; clear(): void } {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    const message = `no result within ${ms} ms; stored as ${id}, see /api/v1/predictions?instance=${id}`
    timer = setTimeout(() => reject(new RaylogError('timed-out', message)), ms)
  })
  return { late, clear: () => clearTimeout(timer) }
}

export function addPredictionsRoute(app: FastifyInstance, context: UploadContext): void {
  const { config } = context
  app.withTypeProvider<ZodTypeProvider>().post(
    '/api/v1/predictions',
    {
      bodyLimit: Number.MAX_SAFE_INTEGER, // the file has its own limit
      schema: {
        tags: ['predictions'],
        summary: 'Send an image and wait for what the models say of it',
        description:
          'One DICOM, PNG, JPEG or TIFF file, as a form or as the body. It is stored as by POST /api/v1/instances. 422 model-refused: no model takes it, with the reasons. 504 timed-out: stored, the result will come later. Both name the id under which it is stored.',
        consumes: ['multipart/form-data', 'application/dicom', 'image/png', 'image/jpeg', 'image/tiff'],
        querystring: hintFields.extend({
          timeoutMs: z.coerce.number().int().min(1).max(300_000).optional().describe('how long to wait, ms'),
        }),
        response: { 200: answer },
      },
    },
    async request => {
      const wait = createWait(context)
      const files = filesOf(request, { ...config, maxFiles: 1 })
      try {
        const event = await receiveOnly(context, files, wait.begin)
        const { late, clear } = deadline(event.id, request.query.timeoutMs ?? config.waitForResultMs)
        const predictions = await Promise.race([wait.done, late]).finally(clear)
        return { instance: event, predictions }
      } finally {
        wait.end()
        await files.return(undefined)
      }
    },
  )
}
