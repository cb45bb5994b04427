/** WADO-RS (PS3.18 10.4): objects, as they are stored or in a transfer syntax that is asked for, and their metadata. Streamed: none is held. */
import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { lossySyntaxes } from '../../schemas/dicomweb.ts'
import { RaylogError, toRaylogError } from '../../schemas/errors.ts'
import { type Accepted, acceptedBy, refuse, requireJson, takes } from './accept.ts'
import { baseUrl, type DicomwebContext, instancesOf, type Located, type Resource, seen, urlOf } from './context.ts'
import { type Part, sendMultipart } from './multipart.ts'

const dicom = 'application/dicom'
const explicitLittle = '1.2.840.10008.1.2.1'

export async function retrieve(
  context: DicomwebContext,
  request: FastifyRequest,
  reply: FastifyReply,
  resource: Resource,
) {
  const accepted = acceptedBy(request).filter(
    ({ type, parts }) =>
      type === '*/*' || takes(type, dicom) || (takes(type, 'multipart/related') && takes(parts, dicom)),
  )
  if (accepted.length === 0) refuse(`multipart/related; type="${dicom}"`)
  const { images } = context.deps
  const found = await instancesOf(context, resource)
  const wanted = found.flatMap(located => {
    const stored = located.doc.transferSyntax
    const given = deliveryOf(accepted, stored, images.dicom.transcodesTo(stored))
    return given ? [{ ...located, given }] : []
  })
  const [first, ...others] = wanted
  if (first === undefined) refuse(`transfer syntax ${found[0]?.doc.transferSyntax ?? ''}`)
  // Before the headers: what is gone, or cannot be decoded, is told as a problem.
  const begun = await open(context, first)
  context.audit.sending(request, reply, wanted.map(seen))
  if (resource.instance !== undefined && accepted[0]?.type === dicom)
    return reply
      .headers({
        'content-type': `${dicom}; transfer-syntax=${begun.transferSyntax}`,
        ...(begun.bytes !== undefined && { 'content-length': String(begun.bytes) }),
        'content-disposition': `attachment; filename="${first.doc.uid}.dcm"`,
      })
      .send(Readable.from(await begun.body(), { objectMode: false }))
  // Some of a study's objects can be given in no transfer syntax that was asked for: what is given is a part of it.
  if (wanted.length < found.length)
    reply.code(206).header('warning', '299 raylog "Some instances are in no transfer syntax that was asked for"')
  return sendMultipart(reply, dicom, partsOf(context, [{ ...first, begun }, ...others], baseUrl(request)))
}

async function* partsOf(context: DicomwebContext, wanted: readonly (Wanted & { begun?: Opened })[], base: string) {
  for (const one of wanted) {
    const { transferSyntax, bytes, body } = one.begun ?? (await open(context, one))
    const { study, series, doc } = one
    yield {
      headers: {
        'Content-Type': `${dicom}; transfer-syntax=${transferSyntax}`,
        ...(bytes !== undefined && { 'Content-Length': String(bytes) }),
        'Content-Location': urlOf(base, { study, series, instance: doc.uid }),
      },
      body: await body(),
    } satisfies Part
  }
}

/** In which transfer syntax an object is given; `orStored`: it was not asked for by name. */
interface Delivery {
  transferSyntax: string
  orStored: boolean
}

/**
 * Named transfer syntaxes are given, `*` is how it is stored, and none is Explicit VR Little Endian, unless that would only
 * make a lossy image larger (PS3.18 8.7.3.5.2).
 */
function deliveryOf(accepted: readonly Accepted[], stored: string, others: readonly string[]): Delivery | undefined {
  for (const { type, transferSyntax: asked } of accepted) {
    const asIs = asked === '*' || asked === stored || (asked === undefined && type === '*/*')
    if (asIs) return { transferSyntax: stored, orStored: false }
    if (asked === undefined) {
      const decoded = !lossySyntaxes.has(stored) && others.includes(explicitLittle)
      return { transferSyntax: decoded ? explicitLittle : stored, orStored: true }
    }
    if (others.includes(asked)) return { transferSyntax: asked, orStored: false }
  }
  return undefined
}

type Wanted = Located & { given: Delivery }

interface Opened {
  transferSyntax: string
  /** Undefined where nobody knows before it is sent. */
  bytes: number | undefined
  body(): AsyncIterable<Uint8Array> | Promise<AsyncIterable<Uint8Array>>
}

/** @throws RaylogError object-missing, and what decoding throws */
async function open({ deps: { objects, images } }: DicomwebContext, { doc, given }: Wanted): Promise<Opened> {
  const stored = { transferSyntax: doc.transferSyntax, bytes: doc.object.bytes }
  const asStored = { ...stored, body: () => objects.stream(doc.object.key) }
  if ((await objects.stat(doc.object.key)) === undefined)
    throw new RaylogError('object-missing', 'The stored object is not there any more.')
  if (given.transferSyntax === doc.transferSyntax) return asStored
  try {
    const { prefix, bytes, dataSet } = await images.dicom.transcode(doc.object, given.transferSyntax)
    async function* file() {
      yield prefix
      yield* dataSet
    }
    const whole = bytes === undefined ? undefined : prefix.length + bytes
    return { transferSyntax: given.transferSyntax, bytes: whole, body: file }
  } catch (thrown) {
    const { verdict } = toRaylogError(thrown).entry
    if (given.orStored && verdict === 'park') return asStored
    throw thrown
  }
}

export async function metadata(
  context: DicomwebContext,
  request: FastifyRequest,
  reply: FastifyReply,
  resource: Resource,
) {
  requireJson(request)
  const found = await instancesOf(context, resource)
  const documents = headers(context, found, baseUrl(request))
  // The first before the headers of the answer, so that a fault is told as a problem.
  const first = await documents.next()
  for (const one of new Map(found.map(each => [each.study, each])).values()) context.audit.viewed(request, seen(one))
  async function* text() {
    yield `[${first.done ? '' : first.value}`
    for await (const document of documents) yield `,${document}`
    yield ']'
  }
  return reply.header('content-type', 'application/dicom+json').send(Readable.from(text(), { objectMode: false }))
}

async function* headers(context: DicomwebContext, found: readonly Located[], base: string): AsyncGenerator<string> {
  for (const { doc, study, series } of found) {
    const address = urlOf(base, { study, series, instance: doc.uid })
    const { attributes, transferSyntax } = await context.deps.images.dicom.header(
      doc.object,
      path => `${address}/bulkdata/${path}`,
    )
    yield JSON.stringify({ ...attributes, '00083002': { vr: 'UI', Value: [transferSyntax] } })
  }
}
