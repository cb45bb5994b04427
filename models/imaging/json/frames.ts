/** Where the frames of a stored object stand in its bytes, without reading the pixels (PS3.5 A.4, 8.1). */
import type { DicomAttributes } from '../../../schemas/dicom-json.ts'
import { RaylogError } from '../../../schemas/errors.ts'
import type { ObjectBytes } from './contents.ts'
import type { BulkPlace } from './read.ts'

export interface Span {
  start: number
  length: number
}

const itemTag = 0xe000fffe
const endTag = 0xe0ddfffe
/** Item headers are looked for in so much at a time; one that lies behind a longer fragment is read by itself. Bytes. */
const windowBytes = 64 * 1024
const maxFragments = 1_000_000

export function frameCount(attributes: DicomAttributes): number {
  const said = attributes['00280008']?.Value?.[0]
  return typeof said === 'number' && said >= 1 ? Math.floor(said) : 1
}

/** Spans of each frame. @throws RaylogError malformed-dicom, truncated, decode-failed */
export async function frameSpans(
  bytes: ObjectBytes,
  attributes: DicomAttributes,
  pixels: BulkPlace,
): Promise<Span[][]> {
  const frames = frameCount(attributes)
  if (pixels.length !== undefined) return nativeSpans(attributes, pixels.start, pixels.length, frames)
  const { offsets, fragments } = await fragmentSpans(bytes, pixels.start)
  const starts = extendedOffsets(attributes) ?? offsets
  if (frames === 1) return [fragments]
  const [first] = fragments
  if (first !== undefined && starts.length >= frames && starts.every((at, i) => i === 0 || at > (starts[i - 1] ?? 0)))
    return byOffsets(fragments, first.start - 8, starts.slice(0, frames))
  return byCounting(fragments, frames)
}

/** The one stream of a video, whatever number of frames is in it (PS3.5 8.2.5). @throws RaylogError malformed-dicom, truncated */
export async function streamSpans(bytes: ObjectBytes, pixels: BulkPlace): Promise<Span[][]> {
  return [(await fragmentSpans(bytes, pixels.start)).fragments]
}

function nativeSpans(attributes: DicomAttributes, start: number, length: number, frames: number): Span[][] {
  const number = (tag: string, otherwise: number) => {
    const value = attributes[tag]?.Value?.[0]
    return typeof value === 'number' ? value : otherwise
  }
  const [rows, columns, samples] = [number('00280010', 0), number('00280011', 0), number('00280002', 1)]
  const bits = number('00280100', 'BulkDataURI' in (attributes['7FE00009'] ?? {}) ? 64 : 32)
  const photometric = String(attributes['00280004']?.Value?.[0] ?? '')
  const halved = photometric.endsWith('_422') && samples === 3
  const size = halved ? rows * Math.ceil(columns / 2) * 4 * (bits >> 3) : (rows * columns * samples * bits) / 8
  if (!Number.isInteger(size) && frames > 1)
    throw new RaylogError('decode-failed', 'frames of one bit a pixel that do not begin at a byte')
  const each = Math.ceil(size)
  if (each === 0 || each * frames > length)
    throw new RaylogError('truncated', 'the pixels are fewer than the frames need')
  return Array.from({ length: frames }, (_, index) => [{ start: start + index * each, length: each }])
}

interface Fragment extends Span {
  /** Whether an image of the JPEG family begins in it: FFD8, or FF4F for JPEG 2000. */
  begins: boolean
}

async function fragmentSpans(bytes: ObjectBytes, start: number): Promise<{ offsets: number[]; fragments: Fragment[] }> {
  let window: { from: number; data: Uint8Array } = { from: 0, data: new Uint8Array(0) }
  const at = async (from: number, length: number): Promise<Uint8Array> => {
    if (from < window.from || from + length > window.from + window.data.length)
      window = { from, data: await bytes.range(from, Math.min(bytes.size, from + windowBytes)) }
    return window.data.subarray(from - window.from, from - window.from + length)
  }
  const items: Fragment[] = []
  for (let from = start; from + 8 <= bytes.size; ) {
    const head = await at(from, Math.min(10, bytes.size - from))
    const view = new DataView(head.buffer, head.byteOffset, head.byteLength)
    if (view.byteLength < 8) break
    const tag = view.getUint32(0, true)
    if (tag === endTag) break
    if (tag !== itemTag) throw new RaylogError('malformed-dicom', 'something other than a fragment among the pixels')
    const length = view.getUint32(4, true)
    if (from + 8 + length > bytes.size) throw new RaylogError('truncated', 'a fragment is longer than what is there')
    if (items.length >= maxFragments) throw new RaylogError('malformed-dicom', `more than ${maxFragments} fragments`)
    const begins = head[8] === 0xff && (head[9] === 0xd8 || head[9] === 0x4f)
    items.push({ start: from + 8, length, begins })
    from += 8 + length
  }
  const [table, ...fragments] = items
  if (table === undefined || fragments.length === 0) throw new RaylogError('truncated', 'the pixels have no fragment')
  const listed = await bytes.range(table.start, table.start + table.length)
  const view = new DataView(listed.buffer, listed.byteOffset, listed.byteLength)
  const offsets = Array.from({ length: listed.byteLength >> 2 }, (_, index) => view.getUint32(index * 4, true))
  return { offsets, fragments }
}

function byOffsets(fragments: Fragment[], origin: number, starts: readonly number[]): Span[][] {
  return starts.map((offset, index) => {
    const to = origin + (starts[index + 1] ?? Number.POSITIVE_INFINITY)
    const chosen = fragments.filter(({ start }) => start - 8 >= origin + offset && start - 8 < to)
    if (chosen[0]?.start !== origin + offset + 8)
      throw new RaylogError('malformed-dicom', `the offset table does not point to a fragment for frame ${index + 1}`)
    return chosen
  })
}

function byCounting(fragments: Fragment[], frames: number): Span[][] {
  if (fragments.length === frames) return fragments.map(fragment => [fragment])
  const begins = fragments.flatMap(({ begins }, index) => (begins ? [index] : []))
  if (begins.length !== frames || begins[0] !== 0)
    throw new RaylogError('decode-failed', `${fragments.length} fragments cannot be shared out among ${frames} frames`)
  return begins.map((from, index) => fragments.slice(from, begins[index + 1]))
}

/** Extended Offset Table (7FE0,0001), where it is short enough to be at hand: 64 bits an entry, base64. */
function extendedOffsets(attributes: DicomAttributes): number[] | undefined {
  const inline = attributes['7FE00001']?.InlineBinary
  if (inline === undefined) return undefined
  const table = Buffer.from(inline, 'base64')
  return Array.from({ length: table.length >> 3 }, (_, index) => Number(table.readBigUInt64LE(index * 8)))
}
