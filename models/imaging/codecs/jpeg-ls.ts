/** JPEG-LS, lossless and near-lossless: CharLS. */
import type { PixelModule } from '../dicom/pixels.ts'
import { jpegHeader, untilEnd } from './codestream.ts'
import { exactly, failed, guard, once, type Raster } from './raster.ts'
import { readCopy } from './wasm.ts'

const loadCharLs = once(async () => {
  const { default: load } = await import('@cornerstonejs/codec-charls/decodewasmjs')
  return load({ print() {}, printErr() {} })
})

/** @throws RaylogError decode-failed, truncated */
export async function decode(frame: Uint8Array, module: PixelModule): Promise<Raster> {
  const header = jpegHeader(frame)
  if (header.sof !== 0xf7) throw failed('not JPEG-LS')
  guard(header, module)
  const whole = untilEnd(frame) // without its end CharLS searches for tens of seconds
  const charls = await loadCharLs()
  const explain = (thrown: unknown) =>
    typeof thrown === 'number' ? charls.getExceptionMessage(thrown) : String(thrown)
  const { data, more: mode } = readCopy(new charls.JpegLSDecoder(), whole, module, explain, decoder => {
    const interleave = decoder.getInterleaveMode()
    return typeof interleave === 'number' ? interleave : interleave.value
  })
  const bits = header.precision > 8 ? 16 : 8
  const planar = header.components > 1 && mode === 0
  return { data: exactly(data, bits, module), bits, planar, precision: header.precision, rgb: false, masked: false }
}
