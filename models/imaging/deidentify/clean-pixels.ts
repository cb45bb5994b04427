/** Pixels with regions made black: in place where they are uncompressed, decoded and written uncompressed where not. */
import type { Region } from '../../../schemas/deidentify.ts'
import { RaylogError } from '../../../schemas/errors.ts'
import { decodeFrame } from '../decode.ts'
import { frameBytes, type PixelModule } from '../dicom/pixels.ts'

/** Pixels as they are written, and what the header must say of them; undefined where that stays as it was. */
export interface CleanedPixels {
  value: Uint8Array
  /** Uncompressed now, and what its frames are. */
  changed?: { samples: 1 | 3; bitsAllocated: number; bitsStored: number; signed: boolean; photometric: string }
}

/** Every pixel of every frame, without decoding one. @throws RaylogError too-large */
export function blankPixels(module: PixelModule, isNative: boolean, maxBytes: number): CleanedPixels {
  const { samples, photometric, signed } = module
  if (isNative) return { value: new Uint8Array(Math.ceil(allowed(frameBytes(module) * module.frames, maxBytes))) }
  const bitsAllocated = module.bitsAllocated === 1 ? 8 : module.bitsAllocated
  const plain = { ...module, bitsAllocated, photometric: 'RGB' } as const
  const value = new Uint8Array(allowed(frameBytes(plain) * module.frames, maxBytes))
  const bitsStored = Math.min(module.bitsStored, bitsAllocated)
  const grey = photometric === 'PALETTE COLOR' ? 'MONOCHROME2' : photometric
  return { value, changed: { samples, bitsAllocated, bitsStored, signed, photometric: samples === 3 ? 'RGB' : grey } }
}

/**
 * Uncompressed pixels of 8 bits and more.
 * @param regions made black
 * @param mask also take away what stands outside of Bits Stored: overlays (PS3.5 8.1.2)
 * @param big big endian
 */
export function cleanNative(
  pixels: Uint8Array,
  module: PixelModule,
  regions: readonly Region[],
  { mask, big, words }: { mask: boolean; big: boolean; words: boolean },
): CleanedPixels {
  const value = pixels.slice()
  const { rows, columns, samples, frames, bitsAllocated, planar } = module
  const width = bitsAllocated >> 3
  const frame = frameBytes(module)
  const swapped = big && words && width === 1
  const put = (at: number, byte: number) => {
    value[swapped ? at ^ 1 : at] = byte
  }
  for (let index = 0; index < frames; index++) {
    for (const { row, from, to } of spans(regions, rows, columns)) {
      for (let channel = 0; channel < samples; channel++) {
        const black = channel > 0 && module.photometric.startsWith('YBR') ? 128 : 0
        for (let column = from; column < to; column++) {
          const pixel = row * columns + column
          const sample = planar ? channel * rows * columns + pixel : pixel * samples + channel
          for (let byte = 0; byte < width; byte++) put(index * frame + sample * width + byte, black)
        }
      }
    }
  }
  if (mask) maskUnstored(value, module, big)
  return { value }
}

/** @throws RaylogError too-large, and what decoding throws */
export async function cleanDecoded(
  object: Uint8Array,
  module: PixelModule,
  regions: readonly Region[],
  maxBytes: number,
): Promise<CleanedPixels> {
  let out: Uint8Array | undefined
  let changed: CleanedPixels['changed']
  for (let index = 0; index < module.frames; index++) {
    const { rows, columns, channels, samples, bitsStored } = await decodeFrame(object, index + 1)
    for (const { row, from, to } of spans(regions, rows, columns))
      samples.fill(0, (row * columns + from) * channels, (row * columns + to) * channels)
    out ??= new Uint8Array(allowed(samples.byteLength * module.frames, maxBytes))
    out.set(new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength), index * samples.byteLength)
    const photometric = channels === 3 ? 'RGB' : module.photometric
    const bitsAllocated = samples.BYTES_PER_ELEMENT * 8
    changed = { samples: channels, bitsAllocated, bitsStored, signed: channels === 1 && module.signed, photometric }
  }
  if (out === undefined || changed === undefined) throw new RaylogError('no-pixels', 'the object has no frames')
  return { value: out, changed }
}

function* spans(regions: readonly Region[], rows: number, columns: number) {
  for (const { left, top, width, height } of regions) {
    const [from, to] = [Math.min(left, columns), Math.min(left + width, columns)]
    for (let row = Math.min(top, rows); row < Math.min(top + height, rows); row++) yield { row, from, to }
  }
}

function maskUnstored(value: Uint8Array, { bitsAllocated, bitsStored, highBit }: PixelModule, big: boolean): void {
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength)
  const mask = (2 ** bitsStored - 1) * 2 ** (highBit + 1 - bitsStored)
  if (bitsAllocated === 8) for (let i = 0; i < value.length; i++) value[i] = (value[i] ?? 0) & mask
  if (bitsAllocated === 16)
    for (let at = 0; at + 2 <= value.length; at += 2) view.setUint16(at, view.getUint16(at, !big) & mask, !big)
  if (bitsAllocated === 32)
    for (let at = 0; at + 4 <= value.length; at += 4) view.setUint32(at, (view.getUint32(at, !big) & mask) >>> 0, !big)
}

function allowed(bytes: number, maxBytes: number): number {
  if (bytes > maxBytes) throw new RaylogError('too-large', `the cleaned pixels would need ${bytes} bytes`)
  return bytes
}
