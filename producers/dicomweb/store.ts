/** POST /dicomweb/studies and /dicomweb/studies/:study. What is answered as stored is on the log, and durable. */
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { AuditTrail } from '../../kafka/audit-trail.ts'
import type { Images } from '../../models/imaging/port.ts'
import { tokenHolder, writeSopClasses } from '../../schemas/audit.ts'
import { RaylogError, toRaylogError } from '../../schemas/errors.ts'
import { chunksOf } from '../bytes.ts'
import type { Hints, Intake } from '../intake.ts'
import { relatedParts, relatedType } from '../multipart.ts'
import { createPatience, patiently } from '../pace.ts'
import { filesOfJson } from './json.ts'
import { type Failed, type Outcome, outcomeSoFar, storeResponse } from './response.ts'
import type { DicomwebConfig } from './stage.ts'

export interface StoreContext {
  config: DicomwebConfig
  intake: Intake
  images: Pick<Images, 'describe'>
  trail: Pick<AuditTrail, 'tell'>
  signal: AbortSignal
}

const uid = z
  .string()
  .max(64)
  .regex(/^[0-9.]+$/, 'not a UID')
const answer = {
  description: 'What was stored, and why each of the others was not (PS3.18 table 10.5.3-1)',
  content: { 'application/dicom+json': { schema: z.unknown() } },
}

export function addStoreRoutes(app: FastifyInstance, context: StoreContext): void {
  const schema = {
    tags: ['dicomweb'],
    summary: 'STOW-RS: store',
    consumes: [
      'multipart/related; type="application/dicom"',
      'multipart/related; type="application/dicom+json"',
      'application/dicom',
    ],
    response: { 200: answer, 202: answer, 409: answer },
  }
  const typed = app.withTypeProvider<ZodTypeProvider>()
  const bodyLimit = Number.MAX_SAFE_INTEGER // objects have their own limits
  typed.post('/studies', { bodyLimit, schema }, (request, reply) => store(context, request, reply, undefined))
  typed.post(
    '/studies/:study',
    { bodyLimit, schema: { ...schema, params: z.object({ study: uid }) } },
    (request, reply) => store(context, request, reply, request.params.study),
  )
}

async function store(context: StoreContext, request: FastifyRequest, reply: FastifyReply, study: string | undefined) {
  const outcomes: Outcome[] = []
  const { maxInstances } = context.config
  const hints: Hints = {
    source: { kind: 'dicomweb', peer: '/dicomweb/studies' },
    expect: study === undefined ? {} : { study },
  }
  try {
    for await (const chunks of objectsOf(context, request)) {
      if (outcomes.length >= maxInstances)
        throw new RaylogError('too-large', `more than dicomweb.maxInstances objects: ${maxInstances}`)
      outcomes.push('error' in chunks ? chunks : await receiveOne(context, chunks, hints))
    }
  } finally {
    // Also of a request that broke off: what was stored until then is kept.
    tellAudit(context, request, outcomes)
  }
  if (outcomes.length === 0) throw new RaylogError('empty-upload', 'the request has no parts')
  const outage = outageOf(outcomes)
  if (outage !== undefined) throw outage
  const base = `${request.protocol}://${request.host}/dicomweb`
  const { status, body } = storeResponse(outcomes, base)
  return reply
    .code(status)
    .header('content-type', 'application/dicom+json')
    .serializer(String)
    .send(JSON.stringify(body))
}

/** By study: who sent what. */
function tellAudit({ trail }: StoreContext, { ip }: FastifyRequest, outcomes: readonly Outcome[]): void {
  const kept = outcomes.flatMap(outcome => ('received' in outcome ? [outcome] : []))
  for (const [object, images] of Map.groupBy(kept, ({ received }) => received.study)) {
    const sopClasses = new Map<string, number>()
    for (const { received } of images) {
      const sopClass = received.facts.dicom?.sopClass ?? ''
      sopClasses.set(sopClass, (sopClasses.get(sopClass) ?? 0) + 1)
    }
    trail.tell({
      ...{ action: 'instances-received', actor: tokenHolder, object, outcome: 'success', address: ip },
      detail: {
        study: images[0]?.received.facts.dicom?.study,
        patient: images[0]?.patient ?? undefined,
        sopClasses: writeSopClasses(sopClasses),
      },
    })
  }
}

/** Never throws for what one object is: the next may be good. @throws RaylogError where the request itself breaks off */
async function receiveOne({ intake, images, signal }: StoreContext, chunks: AsyncGenerator<Buffer>, hints: Hints) {
  const seen = outcomeSoFar()
  try {
    let patient: string | null = null
    const beforePublish: Hints['beforePublish'] = event => {
      patient = event.patient
    }
    const received = await intake.receive(seen.watch(chunks), { ...hints, beforePublish }, signal)
    return { received, patient } satisfies Outcome
  } catch (thrown) {
    const error = toRaylogError(thrown)
    if (seen.brokeOff !== undefined) throw seen.brokeOff
    return { error, ...(await seen.identity(images)) } satisfies Outcome
  }
}

/** The bytes of each object, or why it is none; each must be read, or given up, before the next is asked for. */
async function* objectsOf(
  { config }: StoreContext,
  request: FastifyRequest,
): AsyncGenerator<AsyncGenerator<Buffer, void, undefined> | Failed, void, undefined> {
  const contentType = request.headers['content-type'] ?? ''
  if (!(request.body instanceof Readable))
    throw new RaylogError('not-an-image', 'send multipart/related; type="application/dicom", or application/dicom')
  // There is no other way to end the reading of a request of which nothing more comes.
  const giveUp = () => void (request.raw.complete || request.raw.destroy())
  const patience = createPatience(config.stallMs, () => request.raw.socket.bytesRead, giveUp)
  const bytes = patiently(chunksOf(request.body, 'drain'), patience)
  if (!/^multipart\/related\b/i.test(contentType)) {
    if (!/^application\/dicom\s*(;|$)/i.test(contentType))
      throw new RaylogError('not-an-image', 'one object alone is sent as application/dicom')
    yield bytes
    return
  }
  const { boundary, type } = relatedType(contentType)
  if (type === 'application/dicom+json') {
    for await (const file of filesOfJson(relatedParts(bytes, boundary), config.maxJsonBytes))
      yield Buffer.isBuffer(file) ? once(file) : file
    return
  }
  if (type !== undefined && type !== 'application/dicom')
    throw new RaylogError(
      'not-an-image',
      `parts of ${type.slice(0, 60)} are not taken; there are application/dicom and +json`,
    )
  for await (const { chunks } of relatedParts(bytes, boundary)) yield chunks
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer, void, undefined> {
  yield bytes
}

/** Nothing was stored, and not for any fault of the objects: then the whole request failed, and may be sent again. */
function outageOf(outcomes: readonly Outcome[]): RaylogError | undefined {
  for (const outcome of outcomes) {
    if (!('error' in outcome)) return undefined
    if (outcome.error.entry.verdict === 'wait') return outcome.error
  }
  return undefined
}
