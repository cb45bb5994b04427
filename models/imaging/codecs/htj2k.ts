/** High-Throughput JPEG 2000: OpenJPH. */
import type { PixelModule } from '../dicom/pixels.ts'
import { j2kStream, sizHeader, untilEnd } from './codestream.ts'
import { exactly, guard, once, type Raster } from './raster.ts'
import { readCopy } from './wasm.ts'

const loadOpenJph = once(async () => {
  const { default: load } = await import('@cornerstonejs/codec-openjph')
  return load({ print() {}, printErr() {} })
})

/** @throws RaylogError decode-failed, truncated */
export async function decode(frame: Uint8Array, module: PixelModule): Promise<Raster> {
  const stream = untilEnd(j2kStream(frame))
  const header = sizHeader(stream)
  guard(header, module)
  const openJph = await loadOpenJph()
  const { data } = readCopy(new openJph.HTJ2KDecoder(), stream, module, String)
  const bits = header.precision > 8 ? 16 : 8
  return {
    data: exactly(data, bits, module),
    bits,
    planar: false,
    precision: header.precision,
    rgb: false,
    masked: false,
  }
}
