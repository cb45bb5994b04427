/** RLE Lossless (PS3.5 Annex G): one segment for each byte of each sample, most significant first, PackBits within. */
import { RaylogError } from '../../../schemas/errors.ts'
import type { PixelModule } from '../dicom/pixels.ts'
import { failed, type Raster } from './raster.ts'

/** @throws RaylogError decode-failed, truncated */
export function decode(frame: Uint8Array, module: PixelModule): Raster {
  const { rows, columns, samples, bitsAllocated } = module
  if (bitsAllocated === 1 || bitsAllocated === 64) throw failed(`RLE with ${bitsAllocated} bits allocated`)
  if (frame.length < 64) throw new RaylogError('truncated', 'the RLE header is not there')
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength)
  const width = bitsAllocated / 8
  const segments = view.getUint32(0, true)
  if (segments !== samples * width) throw failed(`${segments} RLE segments where ${samples * width} were due`)
  const pixels = rows * columns
  const data = new Uint8Array(pixels * samples * width)
  for (let segment = 0; segment < segments; segment++) {
    const from = view.getUint32(4 + segment * 4, true)
    const to = segment + 1 < segments ? view.getUint32(8 + segment * 4, true) : frame.length
    if (from < 64 || from >= to || to > frame.length) throw failed('the RLE header points outside the frame')
    const sample = Math.floor(segment / width)
    const byte = width - 1 - (segment % width)
    unpack(frame.subarray(from, to), data, sample * pixels * width + byte, width, pixels)
  }
  // Segments are planes, whatever Planar Configuration says.
  return { data, bits: bitsAllocated, planar: samples > 1, precision: module.bitsStored, rgb: false, masked: true }
}

function unpack(packed: Uint8Array, out: Uint8Array, start: number, step: number, count: number): void {
  const end = start + count * step
  let to = start
  let from = 0
  while (to < end && from < packed.length) {
    const head = packed[from++] ?? 128
    if (head === 128) continue // no operation
    // What overruns the plane is padding of the last run, and dropped.
    if (head < 128) {
      const stop = Math.min(end, to + (head + 1) * step)
      if (from + head + 1 > packed.length && from + (stop - to) / step > packed.length) break
      for (; to < stop; to += step) out[to] = packed[from++] ?? 0
    } else {
      if (from >= packed.length) break
      const value = packed[from++] ?? 0
      const stop = Math.min(end, to + (257 - head) * step)
      if (step === 1) out.fill(value, to, stop)
      else for (let at = to; at < stop; at += step) out[at] = value
      to = stop
    }
  }
  if (to < end) throw new RaylogError('truncated', 'an RLE segment ends early')
}
