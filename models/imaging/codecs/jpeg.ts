/** JPEG Baseline and Extended: 8 bits with libjpeg-turbo, 12 bits with dcmjs-codecs. */

import type { PixelModule } from '../dicom/pixels.ts'
import { type JpegHeader, jpegHeader, untilEnd } from './codestream.ts'
import { decodeNatively } from './native-codecs.ts'
import { exactly, failed, guard, once, type Raster } from './raster.ts'
import { readCopy, type WasmDecoder } from './wasm.ts'

const loadTurbo = once(async () => {
  const { default: load } = await import('@cornerstonejs/codec-libjpeg-turbo-8bit/decodewasmjs')
  const turbo = await load({ print() {}, printErr() {} })
  return () => new turbo.JPEGDecoder()
})

/** @throws RaylogError decode-failed, truncated */
export async function decode(frame: Uint8Array, module: PixelModule): Promise<Raster> {
  const header = jpegHeader(frame)
  if (header.sof > 0xc2) throw failed('not a baseline, extended or progressive JPEG')
  guard(header, module)
  const whole = untilEnd(frame)
  if (header.precision !== 8) return decodeNatively('decodeJpeg', whole, header, module)
  const ybr = isYbr(header, module)
  // libjpeg-turbo takes three components without a marker for YCbCr: where they are not, no conversion may happen.
  if (header.components === 3 && !ybr && convertedByTurbo(header))
    return { ...(await decodeNatively('decodeJpeg', whole, header, module)), rgb: true }
  const decoder: WasmDecoder = (await loadTurbo())()
  const { data } = readCopy(decoder, whole, module, thrown => String(thrown))
  return { data: exactly(data, 8, module), bits: 8, planar: false, precision: 8, rgb: true, masked: false }
}

/** What the stream says of its colours goes before Photometric Interpretation, which is often left over from elsewhere. */
function isYbr(header: JpegHeader, module: PixelModule): boolean {
  if (header.adobe !== undefined) return header.adobe === 1
  if (header.jfif || header.subsampled) return true
  return module.photometric !== 'RGB'
}

/** jdapimin.c, default_decompress_parms. */
function convertedByTurbo({ adobe, jfif, ids }: JpegHeader): boolean {
  if (jfif) return true
  if (adobe !== undefined) return adobe !== 0
  return !(ids[0] === 0x52 && ids[1] === 0x47 && ids[2] === 0x42)
}
