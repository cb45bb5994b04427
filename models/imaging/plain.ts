/** PNG, JPEG and TIFF with sharp: EXIF orientation applied, alpha laid on white, 8 or 16 bits kept for grey. */
import type { Metadata, Sharp } from 'sharp'
import { RaylogError } from '../../schemas/errors.ts'
import { once } from './codecs/raster.ts'
import { maxPixels } from './limits.ts'
import type { DecodedFrame, Samples } from './types.ts'

const loadSharp = once(async () => {
  const { default: sharp } = await import('sharp')
  sharp.cache(false) // each image is decoded once; libvips' cache would only hold memory
  sharp.concurrency(1) // workers share the cores already; more threads for a small picture cost half as much again
  return sharp
})

/**
 * @param frame 1-based page
 * @throws RaylogError decode-failed, truncated, too-large
 */
export async function decodePlain(bytes: Uint8Array, frame: number): Promise<DecodedFrame> {
  const sharp = await loadSharp()
  try {
    // Colour profiles are not applied: models were trained on the samples as they stand in the file.
    const image = sharp(bytes, { limitInputPixels: maxPixels, page: frame - 1, failOn: 'warning', ignoreIcc: true })
    const meta = await image.metadata()
    // sharp asks no picture of one page whether it has the page.
    if (frame > (meta.pages ?? 1)) throw new RaylogError('decode-failed', `there is no page ${frame}`)
    return await read(image.autoOrient(), meta)
  } catch (thrown) {
    throw plainError(thrown, frame)
  }
}

async function read(image: Sharp, meta: Metadata): Promise<DecodedFrame> {
  const opaque = meta.hasAlpha ? image.flatten({ background: '#ffffff' }) : image
  const grey = meta.channels < 3
  const wide = grey && meta.depth !== 'uchar'
  const floating = wide && (meta.depth === 'float' || meta.depth === 'double')
  const space = opaque.toColourspace(wide && !floating ? 'grey16' : grey ? 'b-w' : 'srgb')
  const depth = floating ? 'float' : wide ? 'ushort' : 'uchar'
  const { data, info } = await space.raw({ depth }).toBuffer({ resolveWithObject: true })
  const channels = info.channels === 1 ? 1 : info.channels === 3 ? 3 : undefined
  const copy = new Uint8Array(data)
  const samples: Samples = floating ? new Float32Array(copy.buffer) : wide ? new Uint16Array(copy.buffer) : copy
  if (channels === undefined || samples.length !== info.width * info.height * channels)
    throw new RaylogError('decode-failed', `${info.channels} channels, ${samples.length} samples`)
  return {
    rows: info.height,
    columns: info.width,
    channels,
    samples,
    bitsStored: floating ? 32 : wide ? 16 : 8,
    inverted: false,
    modality: { slope: 1, intercept: 0 },
    // A picture is shown over its full range, not over the values that happen to be in it.
    windows: wide && !floating ? [{ center: 32_767.5, width: 65_535, shape: 'linear-exact' }] : [],
    voiLut: null,
    padding: null,
  }
}

function plainError(thrown: unknown, frame: number): RaylogError {
  if (thrown instanceof RaylogError) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  if (/pixel limit/i.test(message))
    return new RaylogError('too-large', `more than ${maxPixels} pixels`, { cause: thrown })
  if (/page/i.test(message)) return new RaylogError('decode-failed', `there is no page ${frame}`, { cause: thrown })
  const cut = /premature|truncat|not enough|end of (file|stream|input)|IDAT|read error/i.test(message)
  return new RaylogError(cut ? 'truncated' : 'decode-failed', message.split('\n')[0] ?? '', { cause: thrown })
}
