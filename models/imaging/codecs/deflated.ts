/** Deflated Image Frame Compression (PS3.5 10.20): each frame as uncompressed pixels, deflated on its own. */
import { promisify } from 'node:util'
import { inflateRaw } from 'node:zlib'
import { frameBytes, type PixelModule } from '../dicom/pixels.ts'
import { nativeFrame } from './native.ts'
import { failed, type Raster } from './raster.ts'

const inflate = promisify(inflateRaw)

/** @throws RaylogError decode-failed, truncated */
export async function decode(frame: Uint8Array, module: PixelModule): Promise<Raster> {
  const pixels = await inflated(frame, Math.ceil(frameBytes(module)) + 1)
  return nativeFrame(pixels, { ...module, frames: 1 }, 0, { big: false, words: false })
}

/** A byte of padding may follow; more than that is no frame of this size. */
async function inflated(frame: Uint8Array, maxOutputLength: number): Promise<Uint8Array> {
  try {
    return new Uint8Array(await inflate(frame, { maxOutputLength }))
  } catch (thrown) {
    throw failed('a deflated frame is damaged, or larger than the header says', thrown)
  }
}
