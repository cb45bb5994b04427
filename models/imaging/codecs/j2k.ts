/** JPEG 2000, reversible and irreversible: dcmjs-codecs. Its colour transform gives RGB, whatever the header calls it. */
import type { PixelModule } from '../dicom/pixels.ts'
import { j2kStream, sizHeader } from './codestream.ts'
import { decodeNatively } from './native-codecs.ts'
import { guard, type Raster } from './raster.ts'

/** @throws RaylogError decode-failed */
export async function decode(frame: Uint8Array, module: PixelModule): Promise<Raster> {
  const stream = j2kStream(frame)
  const header = sizHeader(stream)
  guard(header, module)
  return decodeNatively('decodeJpeg2000', stream, header, module)
}
