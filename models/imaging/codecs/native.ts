/** Uncompressed pixels (PS3.5 8.1, 8.2): 1, 8, 16, 32 and 64 bits, either byte order, 4:2:2 chrominance. */
import { RaylogError } from '../../../schemas/errors.ts'
import { frameBytes, type PixelModule } from '../dicom/pixels.ts'
import { fresh, type Take } from '../memory.ts'
import type { Raster } from './raster.ts'

/**
 * @param pixels the value of the pixel data element, or as much as there is of it
 * @param index 0-based frame
 * @param big whether words are big endian; with `words` 8-bit samples are swapped in pairs as well (OW, PS3.5 A.3)
 * @throws RaylogError truncated
 */
export function nativeFrame(
  pixels: Uint8Array,
  module: PixelModule,
  index: number,
  { big, words, take = fresh }: { big: boolean; words: boolean; take?: Take },
): Raster {
  const bytes = frameBytes(module)
  const start = bytes * index
  if (start + bytes > pixels.length)
    throw new RaylogError('truncated', `frame ${index + 1} ends at byte ${start + bytes} of ${pixels.length}`)
  const swap = big ? (module.bitsAllocated <= 8 ? (words ? 2 : 1) : module.bitsAllocated >> 3) : 1
  if (module.bitsAllocated === 1) return bitmap(pixels, module, start * 8, swap === 2)
  const from = swap === 2 ? start & ~1 : start // pairs count from the first byte of the pixel data
  const value = pixels.subarray(from, Math.min(pixels.length, start + bytes + (start - from) + 1))
  const copy = take(value.length)
  copy.set(value)
  const taken = swapped(copy, swap)
  const data = taken.subarray(start - from, start - from + bytes)
  return raster(halved(module) ? full422(data, module) : data, module)
}

/** One frame that stands in fragments of its own (Encapsulated Uncompressed). */
export function decode(frame: Uint8Array, module: PixelModule): Raster {
  return nativeFrame(frame, { ...module, frames: 1 }, 0, { big: false, words: false })
}

const halved = (module: PixelModule) => module.photometric.endsWith('_422') && module.samples === 3

function raster(data: Uint8Array, module: PixelModule): Raster {
  const bits = module.bitsAllocated === 1 ? 8 : module.bitsAllocated
  const planar = module.planar && !halved(module)
  return { data, bits, planar, precision: module.bitsStored, rgb: false, masked: true }
}

/** Eight pixels a byte, the first in the lowest bit; frames follow each other without padding. */
function bitmap(pixels: Uint8Array, module: PixelModule, firstBit: number, pairs: boolean): Raster {
  const data = new Uint8Array(module.rows * module.columns * module.samples)
  for (let i = 0; i < data.length; i++) {
    const bit = firstBit + i
    const at = pairs ? (bit >> 3) ^ 1 : bit >> 3
    data[i] = ((pixels[at] ?? 0) >> (bit & 7)) & 1
  }
  return raster(data, module)
}

function swapped(data: Uint8Array, size: number): Uint8Array {
  const whole = Buffer.from(data.buffer, data.byteOffset, data.length - (data.length % size))
  if (size === 2) whole.swap16()
  if (size === 4) whole.swap32()
  if (size === 8) whole.swap64()
  return data
}

/** Y Y Cb Cr for each two pixels of a row to Y Cb Cr for each (PS3.3 C.7.6.3.1.2); 8 bits. */
function full422(data: Uint8Array, { rows, columns }: PixelModule): Uint8Array {
  const out = new Uint8Array(rows * columns * 3)
  const stride = Math.ceil(columns / 2) * 4
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const from = row * stride + (column >> 1) * 4
      const to = (row * columns + column) * 3
      out[to] = data[from + (column & 1)] ?? 0
      out[to + 1] = data[from + 2] ?? 0
      out[to + 2] = data[from + 3] ?? 0
    }
  }
  return out
}
