/** Compressed pixels as uncompressed ones: a frame at a time, and what the header says of them from then on. */
import { RaylogError } from '../../../schemas/errors.ts'
import type { Parsed } from '../dicom/dataset.ts'
import type { Encoding } from '../dicom/elements.ts'
import { frameBytes, type PixelModule, readPixelModule } from '../dicom/pixels.ts'
import type { ObjectBytes } from '../json/contents.ts'
import { frameSpans, type Span } from '../json/frames.ts'
import { maxPixels } from '../limits.ts'
import { type Change, swapped } from './data-set.ts'
import { createBitPacker, type FrameTask, type NativeFrame } from './frames.ts'

/** Pixels as they are written. */
export interface NewPixels {
  tag: number
  vr: string
  /** Even. */
  bytes: number
  /** Where the old ones end, the delimiter of an undefined length counted. */
  end: number
  changes: readonly Change[]
  chunks(): AsyncGenerator<Uint8Array>
}

/** Longest value that a length can say (PS3.5 7.1). */
const maxValue = 0xfffffffe
/** Largest compressed frame. Bytes. */
const maxFrame = 512 * 1024 * 1024

/** Lossy Image Compression Method (PS3.3 C.7.6.1.1.5.1) of transfer syntaxes that are lossy, or may be. */
const methods: Readonly<Record<string, { method: string; always: boolean }>> = {
  '1.2.840.10008.1.2.4.50': { method: 'ISO_10918_1', always: true },
  '1.2.840.10008.1.2.4.51': { method: 'ISO_10918_1', always: true },
  '1.2.840.10008.1.2.4.81': { method: 'ISO_14495_1', always: true },
  '1.2.840.10008.1.2.4.91': { method: 'ISO_15444_1', always: false },
  '1.2.840.10008.1.2.4.203': { method: 'ISO_15444_15', always: false },
}

interface Compressed {
  parsed: Parsed
  bytes: ObjectBytes
  to: Encoding
  decode(task: FrameTask): Promise<NativeFrame>
}

/** Decodes the first frame at once, so that what cannot be decoded is known before a byte is sent. */
export async function decodedPixels({ parsed, bytes, to, decode }: Compressed): Promise<NewPixels> {
  const module = readPixelModule(parsed)
  if (module.rows * module.columns > maxPixels)
    throw new RaylogError('too-large', `${module.columns} x ${module.rows} pixels; the limit is ${maxPixels}`)
  const start = parsed.pixels?.dataOffset ?? 0
  const spans = await frameSpans(bytes, tableOf(parsed, module), { vr: 'OB', start, length: undefined })
  const { transferSyntax } = parsed
  const frame = async (index: number): Promise<NativeFrame> =>
    decode({ encoded: await encodedFrame(bytes, spans[index] ?? []), transferSyntax, module })
  const first = await frame(0)
  const plain = { ...module, photometric: first.photometric }
  const length = Math.ceil(frameBytes(plain) * module.frames)
  const padded = length + (length % 2)
  if (padded > maxValue) throw new RaylogError('too-large', `${length} bytes of pixels, more than a length can say`)
  const unit = to.big && module.bitsAllocated > 8 ? (module.bitsAllocated === 16 ? 2 : 4) : 1

  async function* chunks(): AsyncGenerator<Uint8Array> {
    const bits = createBitPacker()
    for (let index = 0; index < module.frames; index++) {
      const { samples, photometric } = index === 0 ? first : await frame(index)
      if (photometric !== first.photometric)
        throw new RaylogError('decode-failed', `frame ${index + 1} has other colours than the first`)
      yield module.bitsAllocated === 1 ? bits.pack(samples) : swapped(samples, unit)
    }
    yield bits.rest()
    if (padded > length) yield new Uint8Array(1)
  }
  const compressed = spans.flat().reduce((sum, span) => sum + span.length, 0)
  const last = spans.flat().reduce((end, span) => Math.max(end, span.start + span.length), start)
  return {
    ...{ tag: 0x7fe00010, vr: module.bitsAllocated > 8 ? 'OW' : 'OB', bytes: padded, end: last + 8, chunks },
    changes: changesOf(parsed, plain, length / Math.max(1, compressed)),
  }
}

async function encodedFrame(bytes: ObjectBytes, spans: readonly Span[]): Promise<Uint8Array> {
  const length = spans.reduce((sum, span) => sum + span.length, 0)
  if (length > maxFrame) throw new RaylogError('too-large', `a compressed frame of ${length} bytes`)
  const parts = await Promise.all(spans.map(({ start, length: of }) => bytes.range(start, start + of)))
  // A copy of its own: what goes to a thread takes the memory behind it along.
  return new Uint8Array(Buffer.concat(parts))
}

/** What tells where frames begin. */
function tableOf({ data, bytes }: Parsed, { frames }: PixelModule) {
  const table = data.elements.x7fe00001
  const extended =
    table && Buffer.from(bytes.subarray(table.dataOffset, table.dataOffset + table.length)).toString('base64')
  return {
    '00280008': { vr: 'IS', Value: [frames] },
    ...(extended !== undefined && { '7FE00001': { vr: 'OV', InlineBinary: extended } }),
  }
}

const text = (tag: number, vr: string, value: string): Change => ({
  tag,
  set: { vr, value: Buffer.from(value.length % 2 ? `${value} ` : value, 'latin1') },
})

/** @param ratio of the sizes before and after compression */
function changesOf({ data, transferSyntax }: Parsed, { samples, photometric }: PixelModule, ratio: number): Change[] {
  const changes: Change[] = [{ tag: 0x7fe00001 }, { tag: 0x7fe00002 }]
  if (samples === 3)
    changes.push(text(0x00280004, 'CS', photometric), {
      tag: 0x00280006,
      set: { vr: 'US', value: Uint8Array.of(0, 0) },
    })
  const lossy = methods[transferSyntax]
  const said = data.string('x00282110')?.trim()
  // What it lost stays lost, and must be said (PS3.3 C.7.6.1.1.5).
  if (lossy && said !== '01' && (lossy.always || said !== '00'))
    changes.push(
      text(0x00282110, 'CS', '01'),
      text(0x00282112, 'DS', ratio.toFixed(2)),
      text(0x00282114, 'CS', lossy.method),
    )
  return changes
}
