/** One compressed frame as it stands in uncompressed pixel data (PS3.5 8.1, PS3.3 C.7.6.3). */
import { decodeEncoded } from '../decode.ts'
import type { PixelModule } from '../dicom/pixels.ts'
import { toSamples } from '../samples.ts'

export interface FrameTask {
  /** Without the headers of its fragments. */
  encoded: Uint8Array
  transferSyntax: string
  module: PixelModule
}

export interface NativeFrame {
  /** Little endian, Bits Allocated each (one byte a sample where that is 1), colour by pixel. */
  samples: Uint8Array
  /** Photometric Interpretation that they have now: codecs undo the colour transforms that are their own. */
  photometric: string
}

/** @throws RaylogError unknown-transfer-syntax, video-not-decoded, decode-failed, truncated */
export async function nativeFrameOf({ encoded, transferSyntax, module }: FrameTask): Promise<NativeFrame> {
  const raster = await decodeEncoded(transferSyntax, encoded, module)
  // Nothing outside of Bits Stored is taken away: what was lossless stays what it was.
  const kept = raster.masked ? { ...module, bitsStored: raster.bits, highBit: raster.bits - 1 } : module
  const typed = toSamples(raster, kept)
  const bytes = new Uint8Array(typed.buffer, typed.byteOffset, typed.byteLength)
  const samples = raster.bits < module.bitsAllocated ? widened(bytes, raster.bits, module) : bytes
  return { samples, photometric: photometricOf(raster.rgb, module) }
}

function photometricOf(rgb: boolean, { samples, photometric }: PixelModule): string {
  if (samples === 1) return photometric
  if (rgb || photometric === 'YBR_RCT' || photometric === 'YBR_ICT') return 'RGB'
  return photometric === 'YBR_FULL_422' ? 'YBR_FULL' : photometric
}

/** Values of a codestream of fewer bits than are allocated. */
function widened(bytes: Uint8Array, bits: number, { bitsAllocated, signed }: PixelModule): Uint8Array {
  const [narrow, wide] = [bits / 8, bitsAllocated / 8]
  const out = new Uint8Array((bytes.length / narrow) * wide)
  for (let from = 0, to = 0; from < bytes.length; from += narrow, to += wide) {
    for (let i = 0; i < narrow; i++) out[to + i] = bytes[from + i] ?? 0
    if (signed && (bytes[from + narrow - 1] ?? 0) >= 0x80) out.fill(0xff, to + narrow, to + wide)
  }
  return out
}

/** Samples of one bit in bytes of eight, the first in the lowest bit; frames follow each other without padding. */
export function createBitPacker() {
  let held = 0
  let count = 0
  return {
    pack(samples: Uint8Array): Uint8Array {
      const out = new Uint8Array((count + samples.length) >> 3)
      let at = 0
      for (const sample of samples) {
        held |= (sample & 1) << count
        if (++count < 8) continue
        out[at++] = held
        held = 0
        count = 0
      }
      return out
    },
    /** The bits that are left, in a byte of their own. */
    rest: (): Uint8Array => (count > 0 ? Uint8Array.of(held) : new Uint8Array(0)),
  }
}
