/** Encapsulated pixel data (PS3.5 A.4): fragments, and which of them make a frame. */
import { RaylogError } from '../../../schemas/errors.ts'
import type { Parsed } from './dataset.ts'
import { framesOf, type PixelModule } from './pixels.ts'

export interface Fragment {
  /** Of the first byte of its value, from the start of the data set. */
  start: number
  length: number
}

export interface Fragments {
  /** The Basic Offset Table: where frames begin, bytes from the first fragment's item tag; may be empty. */
  offsets: number[]
  fragments: Fragment[]
}

/** Walks the items by their own lengths. @throws RaylogError truncated, malformed-dicom */
export function fragmentsOf({ bytes, pixels }: Pick<Parsed, 'bytes' | 'pixels'>): Fragments {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const items: Fragment[] = []
  let at = pixels?.dataOffset ?? bytes.length
  while (at + 8 <= bytes.length) {
    const tag = view.getUint32(at, true)
    if (tag === 0xe0ddfffe) break
    if (tag !== 0xe000fffe) throw new RaylogError('malformed-dicom', 'something other than a fragment among the pixels')
    const length = view.getUint32(at + 4, true)
    if (at + 8 + length > bytes.length)
      throw new RaylogError('truncated', `fragment ${items.length} says ${length} bytes, more than are there`)
    items.push({ start: at + 8, length })
    at += 8 + length
  }
  // A missing delimiter is forgiven where the last fragment is whole.
  if (at < bytes.length && at + 8 > bytes.length) throw new RaylogError('truncated', 'the data end inside a fragment')
  const [table, ...fragments] = items
  if (table === undefined) throw new RaylogError('truncated', 'the pixels end before their first fragment')
  const offsets: number[] = []
  for (let i = 0; i + 4 <= table.length; i += 4) offsets.push(view.getUint32(table.start + i, true))
  return { offsets, fragments }
}

/**
 * The bytes of one frame: by the extended offset table, the basic one, or where there is none by counting fragments or
 * by looking where an image begins (PS3.5 A.4, PS3.3 C.7.6.3.1.8).
 * @param index 0-based
 * @throws RaylogError truncated, malformed-dicom, decode-failed
 */
export function encapsulatedFrame(parsed: Parsed, module: PixelModule, index: number): Uint8Array {
  const { offsets, fragments } = fragmentsOf(parsed)
  const first = fragments[0]
  if (first === undefined) throw new RaylogError('truncated', 'the pixels have no fragment')
  const starts = frameStarts(parsed, offsets, module.frames)
  const chosen =
    module.frames === 1
      ? fragments
      : starts !== undefined
        ? byOffsets(fragments, first.start - 8, starts, index)
        : byCounting(parsed.bytes, fragments, module.frames, index)
  return joined(parsed.bytes, chosen)
}

/**
 * The fragments of each frame of the JPEG family, as `encapsulatedFrame` shares them out; where it could not, by where an image
 * begins. A fragment in which none begins belongs to the frame before.
 * @throws RaylogError truncated, malformed-dicom
 */
export function fragmentsByFrame(parsed: Parsed): Fragment[][] {
  const { offsets, fragments } = fragmentsOf(parsed)
  const frames = framesOf(parsed.data)
  const origin = (fragments[0]?.start ?? 0) - 8
  const starts = new Set(frameStarts(parsed, offsets, frames)?.map(offset => origin + offset + 8))
  const pointed = fragments.filter(({ start }) => starts.has(start)).length === starts.size && starts.size > 0
  const grouped: Fragment[][] = []
  for (const fragment of fragments) {
    const begins = frames > 1 && beginsImage(parsed.bytes, fragment) && (!pointed || starts.has(fragment.start))
    if (begins || grouped.length === 0) grouped.push([])
    grouped.at(-1)?.push(fragment)
  }
  return grouped
}

/** Where frames begin, from the first fragment's item tag; undefined where no table says so for each of them. */
function frameStarts(parsed: Parsed, basic: number[], frames: number): number[] | undefined {
  const starts = extendedOffsets(parsed) ?? basic
  const inOrder = starts.every((at, i) => i === 0 || at > (starts[i - 1] ?? 0))
  return starts.length > 0 && starts.length >= frames && inOrder ? starts : undefined
}

/** JPEG family: FFD8; JPEG 2000: FF4F */
const beginsImage = (bytes: Uint8Array, { start }: Fragment) =>
  bytes[start] === 0xff && (bytes[start + 1] === 0xd8 || bytes[start + 1] === 0x4f)

function byOffsets(fragments: Fragment[], origin: number, starts: readonly number[], index: number): Fragment[] {
  const from = origin + (starts[index] ?? Number.POSITIVE_INFINITY)
  const to = origin + (starts[index + 1] ?? Number.POSITIVE_INFINITY)
  const chosen = fragments.filter(({ start }) => start - 8 >= from && start - 8 < to)
  if (chosen[0]?.start !== from + 8)
    throw new RaylogError('malformed-dicom', `the offset table does not point to a fragment for frame ${index + 1}`)
  return chosen
}

function byCounting(bytes: Uint8Array, fragments: Fragment[], frames: number, index: number): Fragment[] {
  if (fragments.length === frames) return fragments.slice(index, index + 1)
  if (fragments.length < frames)
    throw new RaylogError('truncated', `${frames} frames, but only ${fragments.length} fragments`)
  const begins = fragments.flatMap((fragment, i) => (beginsImage(bytes, fragment) ? [i] : []))
  if (begins.length !== frames || begins[0] !== 0)
    throw new RaylogError('decode-failed', `${fragments.length} fragments cannot be shared out among ${frames} frames`)
  return fragments.slice(begins[index], begins[index + 1])
}

/** Extended Offset Table (7FE0,0001), 64 bits an entry. */
function extendedOffsets({ data, bytes }: Parsed): number[] | undefined {
  const element = data.elements.x7fe00001
  if (element === undefined || element.length === 0) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset + element.dataOffset, element.length)
  return Array.from({ length: element.length >> 3 }, (_, i) => Number(view.getBigUint64(i * 8, true)))
}

/** One fragment's bytes as they lie there; a copy of several. */
export function joined(bytes: Uint8Array, fragments: readonly Fragment[]): Uint8Array {
  const [only] = fragments
  if (only !== undefined && fragments.length === 1) return bytes.subarray(only.start, only.start + only.length)
  return Buffer.concat(fragments.map(({ start, length }) => bytes.subarray(start, start + length)))
}
