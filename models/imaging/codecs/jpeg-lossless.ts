/** JPEG Lossless, process 14, any predictor: dcmjs-codecs. */
import type { PixelModule } from '../dicom/pixels.ts'
import { jpegHeader, untilEnd } from './codestream.ts'
import { decodeNatively } from './native-codecs.ts'
import { failed, guard, type Raster } from './raster.ts'

/** @throws RaylogError decode-failed, truncated */
export async function decode(frame: Uint8Array, module: PixelModule): Promise<Raster> {
  const header = jpegHeader(frame)
  if (header.sof !== 0xc3) throw failed('not a lossless JPEG')
  guard(header, module)
  return decodeNatively('decodeJpeg', untilEnd(frame), header, module)
}
