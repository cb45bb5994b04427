/**
 * A stored object in another transfer syntax, streamed: one frame of it is in memory, whatever its size. Only what is
 * uncompressed can be asked for. Decoding and rewriting are done in threads.
 */
import { pipeline, Readable } from 'node:stream'
import { createDeflateRaw } from 'node:zlib'
import { RaylogError } from '../../../schemas/errors.ts'
import type { ObjectStore } from '../../../storage/objects.ts'
import { fileMeta } from '../deidentify/file-meta.ts'
import { type Parsed, parseDataSet, uidText } from '../dicom/dataset.ts'
import { type Encoding, headOf } from '../dicom/elements.ts'
import { longVrs } from '../dicom/skip.ts'
import { deflated, encodingOf } from '../dicom/syntaxes.ts'
import type { ObjectBytes } from '../json/contents.ts'
import type { ReadableObject, Transcoded } from '../port.ts'
import { type Change, type Recoding, swapped, tailEnd } from './data-set.ts'
import type { FrameTask, NativeFrame } from './frames.ts'
import { decodedPixels, type NewPixels } from './pixels.ts'

export interface Transcoder {
  objects: Pick<ObjectStore, 'range' | 'stream'>
  /** In a thread. */
  recode(task: Recoding): Promise<Uint8Array>
  decode(task: FrameTask): Promise<NativeFrame>
}

const firstHead = 64 * 1024
/** Largest data set up to its pixels, and the largest that is inflated in memory. Bytes. */
const maxHead = 64 * 1024 * 1024
const pieceBytes = 1024 * 1024
const signatures = 0xfffafffa
const padding = 0xfffcfffc

/** What is read from: the object, or what was deflated in it. */
interface Opened {
  parsed: Parsed
  bytes: ObjectBytes
  stream(start: number, length: number): AsyncIterable<Uint8Array>
}

/** @throws RaylogError as `DicomReader.transcode` */
export async function transcode(tools: Transcoder, object: ReadableObject, to: string): Promise<Transcoded> {
  const opened = await open(tools.objects, object)
  const { parsed } = opened
  const target = encodingOf(to)
  const from = { ...encodingOf(parsed.transferSyntax), explicit: parsed.explicit }
  const { pixels } = parsed
  const headSize = pixels && from.explicit && longVrs.has(pixels.vr ?? '') ? 12 : 8
  const end = pixels ? pixels.dataOffset - headSize : opened.bytes.size
  const written = pixels ? await pixelsOf(tools, opened, from, target) : undefined
  const signed = parsed.data.uint16('x00280103') === 1
  const part = (bytes: Uint8Array, start: number, end: number, changes: readonly Change[]) =>
    tools.recode({ bytes, start, end, from, to: target, signed, changes })
  const header = await part(parsed.bytes, parsed.start, end, written?.changes ?? [])
  const tail = written ? await tailOf(opened, written, from, part) : new Uint8Array(0)
  const head = written ? headOf(written.tag, written.vr, written.bytes, target) : new Uint8Array(0)
  const bytes = header.length + head.length + (written?.bytes ?? 0) + tail.length
  async function* chunks(): AsyncGenerator<Uint8Array> {
    yield header
    if (!written) return
    yield head
    yield* written.chunks()
    yield tail
  }
  return {
    transferSyntax: to,
    bytes: to === deflated ? undefined : bytes,
    prefix: Buffer.from(fileMeta({ ...identityOf(parsed), transferSyntax: to })),
    dataSet: to === deflated ? deflating(chunks()) : buffers(chunks()),
  }
}

/** Until the pixels begin, or all of it where there are none. */
async function open(objects: Transcoder['objects'], object: ReadableObject): Promise<Opened> {
  for (let size = Math.min(firstHead, object.bytes); ; size = Math.min(size * 4, maxHead, object.bytes)) {
    const head = await objects.range(object.key, { start: 0, end: size - 1 })
    const complete = size >= object.bytes
    const parsed = await parseDataSet(head, { lastGroup: 0xffff, complete, maxInflated: maxHead })
    const isDeflated = parsed.transferSyntax === deflated
    if (complete && parsed.pixels === undefined && parsed.cutAt !== undefined)
      throw new RaylogError('truncated', 'the data set ends inside an element')
    // Of what is deflated a beginning says nothing of where things stand.
    if (isDeflated ? complete : complete || parsed.pixels !== undefined)
      return isDeflated ? inMemory(parsed) : stored(objects, object, parsed)
    if (size >= maxHead) throw new RaylogError('too-large', `more than ${maxHead} bytes before the pixels`)
  }
}

function inMemory(parsed: Parsed): Opened {
  const { bytes } = parsed
  return {
    parsed,
    bytes: { size: bytes.length, range: (start, end) => Promise.resolve(bytes.subarray(start, end)) },
    async *stream(start, length) {
      for (let at = start; at < start + length; at += pieceBytes)
        yield bytes.subarray(at, Math.min(at + pieceBytes, start + length))
    },
  }
}

function stored(objects: Transcoder['objects'], { key, bytes }: ReadableObject, parsed: Parsed): Opened {
  return {
    parsed,
    bytes: {
      size: bytes,
      range: (start, end) =>
        end > start ? objects.range(key, { start, end: end - 1 }) : Promise.resolve(new Uint8Array(0)),
    },
    async *stream(start, length) {
      if (length > 0) yield* await objects.stream(key, { start, end: start + length - 1 })
    },
  }
}

function identityOf({ meta, data }: Parsed): { sopClass: string; sopInstance: string } {
  return {
    sopClass: uidText(data.string('x00080016')) ?? uidText(meta.string('x00020002')) ?? '',
    sopInstance: uidText(data.string('x00080018')) ?? uidText(meta.string('x00020003')) ?? '',
  }
}

async function pixelsOf(tools: Transcoder, opened: Opened, from: Encoding, to: Encoding): Promise<NewPixels> {
  const { parsed, bytes, stream } = opened
  const { pixels } = parsed
  if (pixels === undefined) throw new RaylogError('no-pixels', 'the object has no pixel data')
  if (pixels.hadUndefinedLength === true) return decodedPixels({ parsed, bytes, to, decode: tools.decode })
  const { dataOffset: start, length } = pixels
  if (start + length > bytes.size) throw new RaylogError('truncated', 'the pixels are fewer than their length says')
  const bits = parsed.data.uint16('x00280100') ?? 16
  const tag = Number.parseInt(pixels.tag.slice(1), 16)
  const float = tag === 0x7fe00008 ? 4 : tag === 0x7fe00009 ? 8 : undefined
  // Bytes of 8 bits stand in pairs in OW, and pairs are turned round in big endian (PS3.5 A.3).
  const paired = from.big && pixels.vr === 'OW'
  const unit = from.big === to.big ? 1 : (float ?? (bits <= 8 ? (paired ? 2 : 1) : bits <= 16 ? 2 : bits <= 32 ? 4 : 8))
  const vr = float === 4 ? 'OF' : float === 8 ? 'OD' : bits <= 8 ? 'OB' : 'OW'
  return {
    ...{ tag, bytes: length, end: start + length, changes: [] },
    vr: from.big === to.big && from.explicit ? (pixels.vr ?? vr) : vr,
    chunks: () => inUnits(stream(start, length), unit),
  }
}

/** Words turned round, whatever pieces they come in. */
async function* inUnits(chunks: AsyncIterable<Uint8Array>, unit: 1 | 2 | 4 | 8): AsyncGenerator<Uint8Array> {
  if (unit === 1) {
    yield* chunks
    return
  }
  let held: Uint8Array = new Uint8Array(0)
  for await (const chunk of chunks) {
    const all = held.length > 0 ? Buffer.concat([held, chunk]) : chunk
    const whole = all.length - (all.length % unit)
    yield swapped(all.subarray(0, whole), unit)
    held = all.subarray(whole)
  }
  yield held
}

async function tailOf(
  { bytes }: Opened,
  { end, changes }: NewPixels,
  from: Encoding,
  part: (bytes: Uint8Array, start: number, end: number, changes: readonly Change[]) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  if (end + 8 > bytes.size) return new Uint8Array(0)
  if (bytes.size - end > maxHead) throw new RaylogError('too-large', `more than ${maxHead} bytes behind the pixels`)
  const tail = await bytes.range(end, bytes.size)
  const left = changes.length > 0 ? [{ tag: padding }, { tag: signatures }] : [{ tag: padding }]
  return part(tail, 0, tailEnd(tail, from), left)
}

async function* buffers(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  for await (const { buffer, byteOffset, byteLength } of chunks)
    if (byteLength > 0) yield Buffer.from(buffer, byteOffset, byteLength)
}

/** PS3.5 A.5; an odd number of bytes is padded. */
async function* deflating(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const deflate = createDeflateRaw()
  // What fails is thrown out of the loop below as well.
  pipeline(Readable.from(buffers(chunks), { objectMode: false }), deflate, () => undefined)
  let length = 0
  for await (const chunk of deflate) {
    length += chunk.length
    yield chunk
  }
  if (length % 2 === 1) yield Buffer.alloc(1)
}
