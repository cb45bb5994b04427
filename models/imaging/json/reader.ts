/** Stored DICOM objects for those who read them by parts: header as JSON, bulk data, frames. Pixels are streamed, never held. */
import { Readable } from 'node:stream'
import { LRUCache } from 'lru-cache'
import type { DicomAttributes } from '../../../schemas/dicom-json.ts'
import { RaylogError } from '../../../schemas/errors.ts'
import type { ObjectStore } from '../../../storage/objects.ts'
import { deflated, isVideo, transcodedTo } from '../dicom/syntaxes.ts'
import type { BulkValue, DicomFrames, DicomReader, ReadableObject } from '../port.ts'
import { type Transcoder, transcode } from '../transcode/transcode.ts'
import { type Contents, type ObjectBytes, readContents } from './contents.ts'
import { frameSpans, type Span, streamSpans } from './frames.ts'
import { wordSize } from './values.ts'

type Objects = Pick<ObjectStore, 'range' | 'stream'>

/** Headers that are held, by the bytes that they were read from. */
const heldBytes = 32 * 1024 * 1024

interface Opened {
  contents: Contents
  /** Found when first asked for. */
  spans?: Promise<Span[][]>
}

/** @param decode one frame, 1-based, uncompressed and little endian */
export function createDicomReader(
  objects: Objects,
  decode: (object: ReadableObject, frame: number) => Promise<Buffer>,
  threads: Pick<Transcoder, 'recode' | 'decode'>,
): DicomReader {
  // A viewer asks for the frames of an object one by one. What is deflated would be kept inflated, so it is not.
  const opened = new LRUCache<string, Opened>({
    maxSize: heldBytes,
    maxEntrySize: heldBytes / 8,
    sizeCalculation: ({ contents }) => contents.end + 1,
  })

  async function open(object: ReadableObject): Promise<Opened> {
    const known = opened.get(object.sha256)
    if (known !== undefined) return known
    const made: Opened = { contents: await readContents(bytesOf(objects, object)) }
    if (made.contents.transferSyntax !== deflated) opened.set(object.sha256, made)
    return made
  }

  /** One span after the other, each only as fast as it is read. */
  async function* chunks({ bytes, transferSyntax }: Contents, object: ReadableObject, spans: readonly Span[]) {
    for (const { start, length } of spans) {
      if (length === 0) continue
      if (transferSyntax === deflated) yield Buffer.from(await bytes.range(start, start + length))
      else yield* await objects.stream(object.key, { start, end: start + length - 1 })
    }
  }

  const stream = (contents: Contents, object: ReadableObject, spans: readonly Span[]): Readable =>
    Readable.from(chunks(contents, object, spans), { objectMode: false })

  return {
    async header(object, bulkUri) {
      const { contents } = await open(object)
      return { transferSyntax: contents.transferSyntax, attributes: withUris(contents.attributes, bulkUri) }
    },
    async bulk(object, path) {
      const { contents } = await open(object)
      const place = contents.bulk.get(path)
      if (place?.length === undefined) return undefined
      const { start, length, vr } = place
      const words = contents.little ? 1 : wordsOf(contents, path, vr)
      return {
        bytes: length,
        read: (from = 0, to = length) => {
          if (words === 1) return stream(contents, object, [{ start: start + from, length: to - from }])
          return Readable.from(swapped(contents.bytes, start, { from, to, words }), { objectMode: false })
        },
      } satisfies BulkValue
    },
    async frames(object): Promise<DicomFrames> {
      const one = await open(object)
      const { contents } = one
      const { pixels, transferSyntax, attributes, bytes } = contents
      if (pixels === undefined) throw new RaylogError('no-pixels', 'the object has no pixel data')
      const reading = () => {
        const streamed = pixels.length === undefined && isVideo(transferSyntax)
        return streamed ? streamSpans(bytes, pixels) : frameSpans(bytes, attributes, pixels)
      }
      one.spans ??= reading().catch(thrown => {
        delete one.spans // the store may be back when it is asked for again
        throw thrown
      })
      const spans = await one.spans
      const of = (frame: number): Span[] => {
        const found = spans[frame - 1]
        if (found === undefined) throw new RaylogError('not-found', `There is no frame ${frame} of ${spans.length}.`)
        return found
      }
      return {
        count: spans.length,
        transferSyntax,
        encapsulated: pixels.length === undefined,
        littleEndian: contents.little,
        has: frame => spans[frame - 1] !== undefined,
        bytesOf: frame => of(frame).reduce((sum, { length }) => sum + length, 0),
        stored: frame => stream(contents, object, of(frame)),
        decoded: frame => decode(object, frame),
      }
    },
    transcodesTo: transcodedTo,
    transcode: (object, to) => transcode({ objects, ...threads }, object, to),
  }
}

const bytesOf = (objects: Objects, { key, bytes }: ReadableObject): ObjectBytes => ({
  size: bytes,
  range: (start, end) =>
    end > start ? objects.range(key, { start, end: end - 1 }) : Promise.resolve(new Uint8Array(0)),
})

/** Pixels of 32 bits are one word each, though OW says 16: they are turned as the frames are (codecs/native.ts). */
function wordsOf({ attributes }: Contents, path: string, vr: string): 1 | 2 | 4 | 8 {
  const allocated = path === '7FE00010' && vr === 'OW' ? attributes['00280100']?.Value?.[0] : undefined
  return allocated === 32 ? 4 : allocated === 64 ? 8 : wordSize(vr)
}

/** Big endian words turned round, a piece at a time. */
async function* swapped(
  bytes: ObjectBytes,
  start: number,
  { from, to, words }: { from: number; to: number; words: 1 | 2 | 4 | 8 },
): AsyncGenerator<Buffer, void, undefined> {
  const piece = 1024 * 1024
  for (let at = from - (from % words); at < to; at += piece) {
    const end = Math.min(at + piece, to + ((words - (to % words)) % words))
    const data = Buffer.from(await bytes.range(start + at, start + end))
    const whole = data.subarray(0, data.length - (data.length % words))
    if (words === 2) whole.swap16()
    else if (words === 4) whole.swap32()
    else whole.swap64()
    yield data.subarray(Math.max(0, from - at), Math.min(data.length, to - at))
  }
}

/** A copy whose references are addresses. */
function withUris(attributes: DicomAttributes, uri: (path: string) => string): DicomAttributes {
  return Object.fromEntries(
    Object.entries(attributes)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([tag, element]) => {
        if (element.BulkDataURI !== undefined) return [tag, { vr: element.vr, BulkDataURI: uri(element.BulkDataURI) }]
        if (element.vr !== 'SQ' || element.Value === undefined) return [tag, element]
        const items = element.Value.map(item => (isItem(item) ? withUris(item, uri) : item))
        return [tag, { vr: 'SQ', Value: items }]
      }),
  )
}

const isItem = (value: unknown): value is DicomAttributes => typeof value === 'object' && value !== null
