/** The files of a request, one after the other: a form's, or the whole body where that is an image. */

import { Readable } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import { RaylogError } from '../../schemas/errors.ts'
import { chunksOf } from '../bytes.ts'
import { createPatience, patiently } from '../pace.ts'
import { type HintFields, hintFields, readField } from './hints.ts'

export interface UploadedFile {
  name: string
  chunks: AsyncGenerator<Buffer, void, undefined>
  /** What was said before it. */
  fields: HintFields
}

/** Content types of a body that is itself one file. */
export const bodyTypes = /^(image\/|application\/(dicom|zip|octet-stream)\b)/

type Part = Awaited<ReturnType<ReturnType<FastifyRequest['parts']>['next']>>['value']

async function* partChunks(part: Extract<Part, { type: 'file' }>): AsyncGenerator<Buffer, void, undefined> {
  yield* chunksOf(part.file, 'drain')
  if (part.file.truncated) throw new RaylogError('too-large', 'larger than http.maxUploadBytes')
}

export interface FormRules {
  maxFiles: number
  /** Of this time without enough of the form, waited for, the connection ends, ms. */
  stallMs: number
}

async function* partsOf(
  request: FastifyRequest,
  options: Parameters<FastifyRequest['parts']>[0],
): AsyncGenerator<Part, void, undefined> {
  yield* request.parts(options)
}

/**
 * Each file must be read, or given back with `return`, before the next is asked for.
 * @throws RaylogError bad-request, truncated
 */
export async function* filesOf(
  request: FastifyRequest,
  { maxFiles, stallMs }: FormRules,
): AsyncGenerator<UploadedFile, void, undefined> {
  // There is no other way to end the reading of a form of which nothing more comes; its sender would not read an answer.
  const giveUp = () => void (request.raw.complete || request.raw.destroy())
  const patience = createPatience(stallMs, () => request.raw.socket.bytesRead, giveUp)
  const query = hintFields.parse(request.query)
  if (!request.isMultipart()) {
    if (!(request.body instanceof Readable))
      throw new RaylogError('bad-request', 'send a form (multipart/form-data), or one image as the body')
    yield { name: 'body', chunks: patiently(chunksOf(request.body), patience), fields: query }
    return
  }
  let fields: HintFields = query
  // A file that is too large is told as such, and the next one still read.
  const options = { limits: { files: maxFiles }, throwFileSizeLimit: false }
  try {
    for await (const part of patiently(partsOf(request, options), patience)) {
      if (part.type === 'field') fields = { ...fields, ...readField(part.fieldname, part.value) }
      else yield { name: part.filename || part.fieldname, chunks: patiently(partChunks(part), patience), fields }
    }
  } catch (thrown) {
    if (thrown instanceof RaylogError) throw thrown
    const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : ''
    if (code === 'FST_FILES_LIMIT') throw new RaylogError('too-large', `more than maxFiles files: ${maxFiles}`)
    if (code === 'FST_FIELDS_LIMIT') throw new RaylogError('too-large', 'more fields than a form may have')
    if (code === 'FST_PROTO_VIOLATION') throw new RaylogError('bad-request', 'a field of a name that is not allowed')
    throw new RaylogError('truncated', 'the form ends too early, or is none', { cause: thrown })
  }
}
