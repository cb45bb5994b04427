/**
 * JPEG 2000, reversible and irreversible. dcmjs-codecs is the faster; OpenJPEG as Cornerstone builds it takes 16-bit
 * colour, whose colour transform overflows in the other. (It in turn clamps signed 8-bit values.) Colour comes out as
 * RGB, whatever the header calls it.
 */
import type { PixelModule } from '../dicom/pixels.ts'
import { j2kStream, sizHeader, untilEnd } from './codestream.ts'
import { decodeNatively } from './native-codecs.ts'
import { exactly, guard, once, type Raster } from './raster.ts'
import { readCopy } from './wasm.ts'

const loadOpenJpeg = once(async () => {
  const { default: load } = await import('@cornerstonejs/codec-openjpeg/decodewasmjs')
  return load({ print() {}, printErr() {} })
})

/** @throws RaylogError decode-failed, truncated */
export async function decode(frame: Uint8Array, module: PixelModule): Promise<Raster> {
  const stream = j2kStream(frame)
  const header = sizHeader(stream)
  guard(header, module)
  if (header.components === 1 || header.precision <= 8) return decodeNatively('decodeJpeg2000', stream, header, module)
  const openJpeg = await loadOpenJpeg()
  const { data } = readCopy(new openJpeg.J2KDecoder(), untilEnd(stream), module, String)
  return {
    data: exactly(data, 16, module),
    bits: 16,
    planar: false,
    precision: header.precision,
    rgb: false,
    masked: false,
  }
}
