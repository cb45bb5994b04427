/** What a codec is told, and what it gives. */
import { RaylogError } from '../../../schemas/errors.ts'
import type { PixelModule } from '../dicom/pixels.ts'

export interface Raster {
  /** Little endian, `bits` a sample. A copy: never a view of a codec's memory. */
  data: Uint8Array
  bits: 8 | 16 | 32 | 64
  /** Samples of a colour follow each other by plane, not by pixel. */
  planar: boolean
  /** Precision that the codestream states; values go no further, and signed ones are extended from there. */
  precision: number
  /** Colour already is RGB whatever Photometric Interpretation says. */
  rgb: boolean
  /** Whether bits outside Bits Stored may hold something else (overlays), as in native pixels. */
  masked: boolean
}

/** Decodes one frame. @throws RaylogError decode-failed, truncated */
export type DecodeRaster = (frame: Uint8Array, module: PixelModule) => Promise<Raster> | Raster

export function failed(message: string, cause?: unknown): RaylogError {
  return new RaylogError('decode-failed', message, cause === undefined ? undefined : { cause })
}

/** The frame as the codestream's own header describes it. */
export interface StreamHeader {
  rows: number
  columns: number
  components: number
  precision: number
}

/**
 * Compares the codestream's header with the DICOM header, before a decoder sees a byte: it ends hangs and allocations of
 * gigabytes on damaged headers, and pictures of another size.
 */
export function guard(stream: StreamHeader, module: PixelModule): void {
  const { rows, columns, samples, bitsAllocated } = module
  if (stream.rows !== rows || stream.columns !== columns)
    throw failed(`the header says ${columns} x ${rows} pixels, the compressed image ${stream.columns} x ${stream.rows}`)
  if (stream.components !== samples)
    throw failed(`the header says ${samples} samples per pixel, the compressed image ${stream.components}`)
  if (stream.precision > bitsAllocated || stream.precision < 1)
    throw failed(`the header allocates ${bitsAllocated} bits, the compressed image has ${stream.precision}`)
}

/** Codecs must give exactly the bytes that the frame needs. */
export function exactly(data: Uint8Array, bits: number, module: PixelModule): Uint8Array {
  const needed = module.rows * module.columns * module.samples * (bits / 8)
  if (data.length !== needed) throw failed(`the decoder gave ${data.length} bytes where ${needed} were due`)
  return data
}

/** Runs `load` on first use and keeps what it gives; a failed load is tried again. */
export function once<T>(load: () => Promise<T>): () => Promise<T> {
  let loaded: Promise<T> | undefined
  return () => {
    loaded ??= load().catch((thrown: unknown) => {
      loaded = undefined
      throw thrown
    })
    return loaded
  }
}
