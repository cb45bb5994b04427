/** dcmjs-codecs (WebAssembly of libjpeg 12 and 16 bits, OpenJPEG): initialised on first use, and again after any fault. */
import type { Context, NativeCodecs } from 'dcmjs-codecs'
import type { PixelModule } from '../dicom/pixels.ts'
import { exactly, failed, once, type Raster, type StreamHeader } from './raster.ts'

interface Codecs {
  Context: typeof Context
  NativeCodecs: typeof NativeCodecs
}

const load = once(async (): Promise<Codecs> => {
  const { default: codecs } = await import('dcmjs-codecs')
  codecs.log.setLevel('silent')
  return codecs
})

let initialising: Promise<void> | undefined

/**
 * Decodes one frame as it stands: no colour conversion but the one inside JPEG 2000.
 * @param header of the codestream, already guarded
 * @throws RaylogError decode-failed
 */
export async function decodeNatively(
  kind: 'decodeJpeg' | 'decodeJpeg2000',
  frame: Uint8Array,
  header: StreamHeader,
  module: PixelModule,
): Promise<Raster> {
  const codecs = await load()
  // Again and again: while this frame waited, another may have failed and released the module.
  while (!codecs.NativeCodecs.isInitialized()) {
    initialising ??= codecs.NativeCodecs.initializeAsync().finally(() => {
      initialising = undefined
    })
    await initialising
  }
  const bits = header.precision > 8 ? 16 : 8
  const context = new codecs.Context({
    width: header.columns,
    height: header.rows,
    bitsAllocated: bits,
    bitsStored: header.precision,
    samplesPerPixel: header.components,
    pixelRepresentation: module.signed ? 1 : 0,
    planarConfiguration: 0,
    photometricInterpretation: header.components === 1 ? 'MONOCHROME2' : 'RGB',
    encodedBuffer: frame,
  })
  try {
    const decoded = codecs.NativeCodecs[kind](context, { convertColorspaceToRgb: false })
    const data = exactly(decoded.getDecodedBuffer() ?? new Uint8Array(0), bits, module)
    const planar = decoded.getPlanarConfiguration() === 1
    return { data, bits, planar, precision: header.precision, rgb: false, masked: false }
  } catch (thrown) {
    // Each fault leaks stack of the module; after a few, good frames fail too. A new one costs some 30 ms.
    codecs.NativeCodecs.release()
    throw failed(
      `the compressed image is damaged: ${String(thrown instanceof Error ? thrown.message : thrown)}`,
      thrown,
    )
  }
}
