/** WADO-RS (PS3.18 10.4): objects as they are stored, and their metadata. Streamed: no object is held. */
import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { RaylogError } from '../../schemas/errors.ts'
import { type Accepted, acceptedBy, refuse, requireJson, takes } from './accept.ts'
import { baseUrl, type DicomwebContext, instancesOf, type Located, type Resource, urlOf } from './context.ts'
import { type Part, sendMultipart } from './multipart.ts'

const dicom = 'application/dicom'

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
  const found = await instancesOf(context, resource)
  const wanted = found.filter(({ doc }) => asStored(accepted, doc.transferSyntax))
  const [first] = wanted
  if (first === undefined) refuse(`transfer syntax ${found[0]?.doc.transferSyntax ?? ''}`)
  const { objects } = context.deps
  // Before the headers: what is gone is told as a problem.
  if ((await objects.stat(first.doc.object.key)) === undefined)
    throw new RaylogError('object-missing', 'The stored object is not there any more.')
  const single = resource.instance !== undefined && accepted[0]?.type === dicom
  if (single) {
    const { object, uid, transferSyntax } = first.doc
    return reply
      .headers({
        'content-type': `${dicom}; transfer-syntax=${transferSyntax}`,
        'content-length': String(object.bytes),
        'content-disposition': `attachment; filename="${uid}.dcm"`,
      })
      .send(await objects.stream(object.key))
  }
  // Some of a study's objects are in a transfer syntax that was not asked for: what is given is a part of it.
  if (wanted.length < found.length)
    reply.code(206).header('warning', '299 raylog "Some instances are in no transfer syntax that was asked for"')
  return sendMultipart(reply, dicom, parts(context, wanted, baseUrl(request)))
}

/** Where no transfer syntax is named an object is given as it is stored. */
function asStored(accepted: readonly Accepted[], stored: string): boolean {
  return accepted.some(({ transferSyntax: asked }) => asked === undefined || asked === '*' || asked === stored)
}

async function* parts(context: DicomwebContext, found: readonly Located[], base: string): AsyncGenerator<Part> {
  for (const { doc, study, series } of found) {
    yield {
      headers: {
        'Content-Type': `${dicom}; transfer-syntax=${doc.transferSyntax}`,
        'Content-Length': String(doc.object.bytes),
        'Content-Location': urlOf(base, { study, series, instance: doc.uid }),
      },
      body: await context.deps.objects.stream(doc.object.key),
    }
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
