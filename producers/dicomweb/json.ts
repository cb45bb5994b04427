/**
 * STOW-RS of metadata and bulk data (PS3.18 10.5.2, 8.7.3): the first part is JSON, of one instance or several; each other one
 * is what a BulkDataURI refers to, by its Content-Location. Several parts of one location are the frames of an image.
 */
import { z } from 'zod'
import { filePrefix } from '../../dicom/part10.ts'
import { isUid } from '../../dicom/uid.ts'
import { type BulkValue, writeJson } from '../../dicom/write-json.ts'
import type { DicomAttributes } from '../../schemas/dicom-json.ts'
import { compressedTypes, nativeSyntaxes } from '../../schemas/dicomweb.ts'
import { RaylogError, toRaylogError } from '../../schemas/errors.ts'
import type { RelatedPart } from '../multipart.ts'
import type { Failed } from './response.ts'

/** Of the JSON itself, bytes. */
const maxText = 64 * 1024 * 1024
const explicitLittle = '1.2.840.10008.1.2.1'

const element: z.ZodType = z.lazy(() =>
  z.object({
    vr: z.string().regex(/^[A-Z]{2}$/),
    Value: z.array(z.union([z.string(), z.number(), z.null(), z.record(z.string(), z.unknown())])).optional(),
    BulkDataURI: z.string().max(4_096).optional(),
    InlineBinary: z.string().optional(),
  }),
)
const instances = z.array(z.record(z.string().regex(/^[0-9A-Fa-f]{8}$/), element)).min(1)

interface Sent extends BulkValue {
  parts: Buffer[]
  transferSyntax: string
}

/**
 * Each instance as a file, or why it is none.
 * @param maxBytes of all parts together, which are held until the last has come; and of all values that are written of them
 * @throws RaylogError bad-request, too-large, truncated
 */
export async function* filesOfJson(
  parts: AsyncIterable<RelatedPart>,
  maxBytes: number,
): AsyncGenerator<Buffer | Failed, void, undefined> {
  const bulk = new Map<string, Sent>()
  let metadata: DicomAttributes[] | undefined
  let held = 0
  for await (const { headers, chunks } of parts) {
    const most = metadata ? maxBytes - held : Math.min(maxText, maxBytes)
    const bytes = await whole(chunks, most)
    held += bytes.length
    if (metadata) addBulk(bulk, headers, bytes)
    else metadata = readInstances(bytes)
  }
  let room = maxBytes
  for (const attributes of metadata ?? []) {
    const file = fileOf(attributes, bulk, room)
    if (Buffer.isBuffer(file)) room = Math.max(0, room - file.length)
    yield file
  }
}

async function whole(chunks: AsyncIterable<Buffer>, most: number): Promise<Buffer> {
  const parts: Buffer[] = []
  let size = 0
  for await (const chunk of chunks) {
    size += chunk.length
    if (size > most) throw new RaylogError('too-large', 'more metadata and bulk data than dicomweb.maxJsonBytes')
    parts.push(Buffer.from(chunk))
  }
  return Buffer.concat(parts)
}

function readInstances(bytes: Buffer): DicomAttributes[] {
  try {
    const parsed: unknown = JSON.parse(bytes.toString('utf8'))
    return instances.parse(Array.isArray(parsed) ? parsed : [parsed]) as DicomAttributes[]
  } catch {
    // What is wrong may quote a name.
    throw new RaylogError('bad-request', 'the first part is not an array of instances as DICOM JSON')
  }
}

function addBulk(bulk: Map<string, Sent>, headers: RelatedPart['headers'], bytes: Buffer): void {
  const location = headers.get('content-location')
  if (location === undefined) throw new RaylogError('bad-request', 'bulk data without a Content-Location')
  const known = bulk.get(location)
  if (known) {
    known.parts.push(bytes)
    return
  }
  const transferSyntax = syntaxOf(headers.get('content-type') ?? '')
  bulk.set(location, { parts: [bytes], transferSyntax, encapsulated: !nativeSyntaxes.includes(transferSyntax) })
}

/** What the part says, or else the first of its media type; octets are uncompressed (PS3.18 8.7.3.4). */
function syntaxOf(contentType: string): string {
  const [, said] = /;\s*transfer-syntax\s*=\s*"?([0-9.]+)"?/i.exec(contentType) ?? []
  const type = contentType.split(';')[0]?.trim().toLowerCase()
  return said ?? defaults.get(type ?? '') ?? explicitLittle
}

/** The lossless one of each type, as in PS3.18 table 8.7.3-5. */
const preferred = ['.70', '.80', '.90', '.201']
const defaults = new Map<string, string>()
for (const [uid, type] of Object.entries(compressedTypes))
  if (!defaults.has(type.toLowerCase()) || preferred.some(end => uid.endsWith(end)))
    defaults.set(type.toLowerCase(), uid)

function fileOf(attributes: DicomAttributes, bulk: ReadonlyMap<string, Sent>, maxBytes: number): Buffer | Failed {
  const uid = (tag: string) => String(attributes[tag]?.Value?.[0] ?? '')
  const [sopClass, sopInstance] = [uid('00080016'), uid('00080018')]
  try {
    if (!isUid(sopClass) || !isUid(sopInstance))
      throw new RaylogError('malformed-dicom', 'SOP Class UID or SOP Instance UID is missing')
    const { '00083002': _offered, ...own } = attributes // says how a server has it, and is no part of the object
    const pixels = bulk.get(attributes['7FE00010']?.BulkDataURI ?? '')
    const data = writeJson(own, uri => bulk.get(uri), maxBytes)
    return Buffer.concat([filePrefix(sopClass, sopInstance, pixels?.transferSyntax ?? explicitLittle), data])
  } catch (thrown) {
    return { error: toRaylogError(thrown), ...(sopClass && sopInstance && { sopClass, sopInstance }) }
  }
}
