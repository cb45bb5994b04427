/** What a stored DICOM object holds, read from its beginning and its end: the pixels are passed over. */
import { RaylogError, toRaylogError } from '../../../schemas/errors.ts'
import { readMeta, uidText } from '../dicom/dataset.ts'
import { inflateAtMost } from '../dicom/inflate.ts'
import { guessSyntax, hasVrs } from '../dicom/sniff.ts'
import { deflated, explicitBig } from '../dicom/syntaxes.ts'
import { type BulkPlace, type JsonOptions, type ReadJson, readJson } from './read.ts'

export interface ObjectBytes {
  /** Of the whole object. */
  readonly size: number
  /** @param end not included */
  range(start: number, end: number): Promise<Uint8Array>
}

export interface Contents extends ReadJson {
  transferSyntax: string
  little: boolean
  /** Where the pixels are, of whichever kind. */
  pixels: BulkPlace | undefined
  /** What offsets point into: the object, or what was deflated in it. */
  bytes: ObjectBytes
}

const firstHead = 64 * 1024
/** Largest header; a deflated object is read whole, and may be as large when inflated. Bytes. */
const maxHead = 64 * 1024 * 1024
/** What stands behind the pixels: padding, signatures. Bytes. */
const maxTail = 1024 * 1024
export const inlineBytes = 4096

/** @throws RaylogError malformed-dicom, truncated, too-large, object-missing */
export async function readContents(object: ObjectBytes): Promise<Contents> {
  let size = Math.min(firstHead, object.size)
  for (;;) {
    const head = await object.range(0, size)
    try {
      return await contentsOf(object, head)
    } catch (thrown) {
      const error = toRaylogError(thrown)
      if (error.code !== 'truncated' || size >= object.size) throw error
      if (size >= maxHead) throw new RaylogError('too-large', `the header is longer than ${maxHead} bytes`)
    }
    size = Math.min(size * 4, maxHead, object.size)
  }
}

async function contentsOf(object: ObjectBytes, head: Uint8Array): Promise<Contents> {
  const { meta, end } = readMeta(head)
  const transferSyntax = uidText(meta.string('x00020010')) ?? guessSyntax(head, end)
  if (transferSyntax === undefined) throw new RaylogError('malformed-dicom', 'no transfer syntax is given')
  const little = transferSyntax !== explicitBig
  if (transferSyntax === deflated) return inflated(object, head, end)
  const options = { explicit: hasVrs(head, end, transferSyntax), little, inlineBytes }
  const read = readJson(head, end, options)
  const pixels = pixelsOf(read)
  await addTail(object, head, read, pixels, options)
  return { ...read, transferSyntax, little, pixels, bytes: object }
}

async function inflated(object: ObjectBytes, head: Uint8Array, end: number): Promise<Contents> {
  if (object.size > maxHead) throw new RaylogError('too-large', `deflated, and longer than ${maxHead} bytes`)
  const whole = head.length < object.size ? await object.range(0, object.size) : head
  const data = await inflateAtMost(whole.subarray(end), maxHead, true)
  const read = readJson(data, 0, { explicit: hasVrs(data, 0, deflated), little: true, inlineBytes })
  const bytes = { size: data.length, range: (from: number, to: number) => Promise.resolve(data.subarray(from, to)) }
  return { ...read, transferSyntax: deflated, little: true, pixels: pixelsOf(read), bytes }
}

const pixelsOf = ({ bulk }: ReadJson): BulkPlace | undefined =>
  bulk.get('7FE00010') ?? bulk.get('7FE00008') ?? bulk.get('7FE00009')

async function addTail(
  object: ObjectBytes,
  head: Uint8Array,
  read: ReadJson,
  pixels: BulkPlace | undefined,
  options: JsonOptions,
): Promise<void> {
  if (pixels?.length === undefined) return
  const from = pixels.start + pixels.length
  if (from <= head.length || from + 8 > object.size || object.size - from > maxTail) return
  const tail = readJson(await object.range(from, object.size), 0, options)
  Object.assign(read.attributes, tail.attributes)
  for (const [path, place] of tail.bulk) read.bulk.set(path, { ...place, start: place.start + from })
}
