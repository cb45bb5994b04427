/** The Image Pixel module (PS3.3 C.7.6.3): what the header says of the pixels, checked. */
import { RaylogError } from '../../../schemas/errors.ts'
import type { Parsed } from './dataset.ts'

export interface PixelModule {
  rows: number
  columns: number
  /** Samples per Pixel. */
  samples: 1 | 3
  bitsAllocated: 1 | 8 | 16 | 32 | 64
  bitsStored: number
  highBit: number
  signed: boolean
  /** Float Pixel Data (32 bits) or Double Float Pixel Data (64 bits). */
  float: boolean
  planar: boolean
  photometric: string
  frames: number
}

/** @throws RaylogError no-pixels, malformed-dicom, decode-failed */
export function readPixelModule({ data, pixels }: Parsed): PixelModule {
  const rows = data.uint16('x00280010')
  const columns = data.uint16('x00280011')
  if (pixels === undefined || rows === undefined || columns === undefined)
    throw new RaylogError('no-pixels', 'the object has no pixel data')
  if (rows === 0 || columns === 0) throw new RaylogError('malformed-dicom', `${columns} columns and ${rows} rows`)
  const samples = data.uint16('x00280002') ?? 1
  if (samples !== 1 && samples !== 3) throw new RaylogError('decode-failed', `${samples} samples per pixel`)
  const float = pixels.tag !== 'x7fe00010'
  const bitsAllocated = float ? (pixels.tag === 'x7fe00008' ? 32 : 64) : allocated(data.uint16('x00280100'))
  const bitsStored = float ? bitsAllocated : data.uint16('x00280101') || bitsAllocated
  const highBit = float ? bitsStored - 1 : (data.uint16('x00280102') ?? bitsStored - 1)
  if (bitsStored > bitsAllocated || highBit >= bitsAllocated || highBit + 1 < bitsStored)
    throw new RaylogError(
      'malformed-dicom',
      `bits: ${bitsAllocated} allocated, ${bitsStored} stored, high bit ${highBit}`,
    )
  return {
    rows,
    columns,
    samples,
    bitsAllocated,
    bitsStored,
    highBit,
    signed: !float && data.uint16('x00280103') === 1,
    float,
    planar: samples === 3 && data.uint16('x00280006') === 1,
    photometric: (data.string('x00280004') ?? (samples === 1 ? 'MONOCHROME2' : 'RGB')).trim().toUpperCase(),
    frames: framesOf(data),
  }
}

/** An IS holds what a signed 32-bit integer does (PS3.5 6.2), and so does an event. */
const mostFrames = 2 ** 31 - 1

/** Number of Frames; 1 where it says nothing, or nothing that makes sense. @throws RaylogError malformed-dicom */
export function framesOf(data: Parsed['data']): number {
  const frames = Math.max(1, data.intString('x00280008') || 1)
  if (frames > mostFrames) throw new RaylogError('malformed-dicom', 'Number of Frames is larger than an IS can be')
  return frames
}

function allocated(bits: number | undefined): 1 | 8 | 16 | 32 {
  if (bits === 1 || bits === 8 || bits === 16 || bits === 32) return bits
  throw new RaylogError('decode-failed', `${bits ?? 'no'} bits allocated`)
}

/** Bytes of one native frame; a fraction where 1-bit frames share bytes (PS3.5 8.1.1, D.1). */
export function frameBytes(module: PixelModule): number {
  const { rows, columns, samples, bitsAllocated, photometric } = module
  // two luminances share a pair of chrominances (PS3.3 C.7.6.3.1.2)
  if (photometric.endsWith('_422') && samples === 3) return rows * Math.ceil(columns / 2) * 4 * (bitsAllocated >> 3)
  return (rows * columns * samples * bitsAllocated) / 8
}
