/** What the decoders of @cornerstonejs/codec-* have in common. */
import type { PixelModule } from '../dicom/pixels.ts'
import { failed } from './raster.ts'

export interface WasmDecoder {
  getEncodedBuffer(bytes: number): Uint8Array
  getDecodedBuffer(): Uint8Array
  decode(): void
  getFrameInfo(): { width: number; height: number; componentCount: number; bitsPerSample?: number }
  delete(): void
}

/**
 * Runs a decoder once, copies its output off the WASM heap and deletes it: used again it may give the previous image.
 * @param explain the words for what it threw
 * @throws RaylogError decode-failed
 */
export function readCopy<D extends WasmDecoder, T>(
  decoder: D,
  frame: Uint8Array,
  module: PixelModule,
  explain: (thrown: unknown) => string,
  more?: (decoder: D) => T,
): { data: Uint8Array; more: T | undefined } {
  try {
    decoder.getEncodedBuffer(frame.length).set(frame)
    decoder.decode()
    const { width, height, componentCount } = decoder.getFrameInfo()
    if (width !== module.columns || height !== module.rows || componentCount !== module.samples)
      throw failed(`the decoder gave ${width} x ${height} x ${componentCount}`)
    return { data: Uint8Array.from(decoder.getDecodedBuffer()), more: more?.(decoder) }
  } catch (thrown) {
    throw failed(`the compressed image is damaged: ${explain(thrown)}`, thrown)
  } finally {
    decoder.delete()
  }
}
