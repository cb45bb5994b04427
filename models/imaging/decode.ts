/** Decodes one frame of a DICOM object or a plain image. Codecs are loaded on first use, once a thread. */
import { RaylogError, toRaylogError } from '../../schemas/errors.ts'
import { nativeFrame } from './codecs/native.ts'
import { type DecodeRaster, once, type Raster } from './codecs/raster.ts'
import { throughPalette, toRgb } from './colour.ts'
import { type Parsed, parseDataSet } from './dicom/dataset.ts'
import { encapsulatedFrame } from './dicom/fragments.ts'
import { readOverlays } from './dicom/overlays.ts'
import { readPalette, readSupplement } from './dicom/palette.ts'
import { type PixelModule, readPixelModule } from './dicom/pixels.ts'
import { sniff } from './dicom/sniff.ts'
import { explicitBig, notDecoded, type Packing, syntaxOf } from './dicom/syntaxes.ts'
import { readTransforms, transformSequences } from './dicom/transforms.ts'
import { maxPixels } from './limits.ts'
import { fresh, type Take } from './memory.ts'
import { decodePlain } from './plain.ts'
import { toSamples } from './samples.ts'
import type { DecodedFrame } from './types.ts'

/** Most bytes that a deflated data set may become. */
const maxInflated = 512 * 1024 * 1024

const codecs: Readonly<Record<Exclude<Packing, 'native'>, () => Promise<{ decode: DecodeRaster }>>> = {
  'raw-frames': once(() => import('./codecs/native.ts')),
  'deflated-frames': once(() => import('./codecs/deflated.ts')),
  rle: once(() => import('./codecs/rle.ts')),
  jpeg: once(() => import('./codecs/jpeg.ts')),
  'jpeg-lossless': once(() => import('./codecs/jpeg-lossless.ts')),
  'jpeg-ls': once(() => import('./codecs/jpeg-ls.ts')),
  j2k: once(() => import('./codecs/j2k.ts')),
  htj2k: once(() => import('./codecs/htj2k.ts')),
}

/**
 * @param bytes a whole object: DICOM in any transfer syntax of dicom/syntaxes.ts, PNG, JPEG or TIFF
 * @param frame 1-based
 * @param take where uncompressed pixels go
 * @throws RaylogError not-an-image, malformed-dicom, unknown-transfer-syntax, video-not-decoded, no-pixels, decode-failed, truncated, too-large
 */
export async function decodeFrame(bytes: Uint8Array, frame = 1, take = fresh): Promise<DecodedFrame> {
  // A Buffer's slice() is a view, a Uint8Array's a copy: samples must never be the caller's own bytes.
  const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const kind = sniff(plain)
  if (kind === undefined) throw new RaylogError('not-an-image', 'neither DICOM, PNG, JPEG nor TIFF')
  return kind === 'dicom' ? decodeDicom(plain, frame, take) : decodePlain(plain, frame)
}

/**
 * One frame of a DICOM object as it would stand in uncompressed pixel data: little endian, of Bits Allocated, colour by
 * pixel and RGB where it was YCbCr. A palette is not looked up.
 * @param frame 1-based
 * @throws RaylogError as `decodeFrame`
 */
export async function decodeSamples(bytes: Uint8Array, frame: number): Promise<Uint8Array> {
  const { module, raster } = await decodeRaster(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length), frame)
  const samples = toSamples(raster, module)
  const grey = module.samples === 1 || raster.rgb
  const { buffer, byteOffset, byteLength } = grey ? samples : toRgb(samples, module)
  return new Uint8Array(buffer, byteOffset, byteLength)
}

async function decodeDicom(bytes: Uint8Array, frame: number, take: Take): Promise<DecodedFrame> {
  const { parsed, module, raster } = await decodeRaster(bytes, frame, take)
  return settle(parsed, module, raster, frame - 1)
}

async function decodeRaster(bytes: Uint8Array, frame: number, take = fresh) {
  const parsed = await parseDataSet(bytes, {
    lastGroup: 0x7fe0,
    complete: true,
    maxInflated,
    sequences: transformSequences,
  })
  if (parsed.pixels === undefined && parsed.cutAt !== undefined)
    throw new RaylogError('truncated', `the data end inside group ${parsed.cutAt.toString(16).padStart(4, '0')}`)
  const module = readPixelModule(parsed)
  if (module.rows * module.columns > maxPixels)
    throw new RaylogError('too-large', `${module.columns} x ${module.rows} pixels; the limit is ${maxPixels}`)
  if (!Number.isInteger(frame) || frame < 1 || frame > module.frames)
    throw new RaylogError('decode-failed', `there is no frame ${frame} of ${module.frames}`)
  return { parsed, module, raster: await readRaster(parsed, module, frame - 1, take) }
}

async function readRaster(parsed: Parsed, module: PixelModule, index: number, take: Take): Promise<Raster> {
  const packing = syntaxOf(parsed.transferSyntax)?.packing
  if (packing === undefined) throw notDecoded(parsed.transferSyntax)
  const { pixels, bytes } = parsed
  if (pixels === undefined) throw new RaylogError('no-pixels', 'the object has no pixel data')
  if (packing === 'native') {
    if (pixels.hadUndefinedLength === true)
      throw new RaylogError('malformed-dicom', 'the pixels are encapsulated in a transfer syntax that is not')
    const value = bytes.subarray(pixels.dataOffset, pixels.dataOffset + pixels.length)
    const big = parsed.transferSyntax === explicitBig
    return nativeFrame(value, module, index, { big, words: pixels.vr === 'OW', take })
  }
  if (pixels.hadUndefinedLength !== true)
    throw new RaylogError('malformed-dicom', 'the pixels are not encapsulated as their transfer syntax demands')
  return decodeEncoded(parsed.transferSyntax, encapsulatedFrame(parsed, module, index), module)
}

/**
 * One frame that stands in fragments of its own.
 * @param encoded without the headers of its fragments
 * @throws RaylogError unknown-transfer-syntax, video-not-decoded, decode-failed, truncated
 */
export async function decodeEncoded(transferSyntax: string, encoded: Uint8Array, module: PixelModule): Promise<Raster> {
  const packing = syntaxOf(transferSyntax)?.packing
  if (packing === undefined || packing === 'native') throw notDecoded(transferSyntax)
  const { decode } = await codecs[packing]()
  try {
    return await decode(encoded, module)
  } catch (thrown) {
    if (thrown instanceof RaylogError) throw thrown
    throw new RaylogError('decode-failed', toRaylogError(thrown).message, { cause: thrown })
  }
}

function settle(parsed: Parsed, module: PixelModule, raster: Raster, index: number): DecodedFrame {
  const { data } = parsed
  const overlay = readOverlays(parsed, module, raster, index)
  const drawn = overlay === undefined ? {} : { overlay }
  const samples = toSamples(raster, module)
  const { rows, columns } = module
  const transforms = readTransforms(data, module, index)
  if (module.samples === 1 && module.photometric !== 'PALETTE COLOR') {
    const supplement = readSupplement(data, module.signed)
    const coloured = supplement === undefined ? {} : { supplement }
    return { rows, columns, channels: 1, samples, bitsStored: module.bitsStored, ...transforms, ...drawn, ...coloured }
  }
  const plain = { inverted: false, modality: { slope: 1, intercept: 0 }, windows: [], voiLut: null, padding: null }
  if (module.photometric === 'PALETTE COLOR') {
    const colours = throughPalette(samples, readPalette(data, module.signed))
    return { rows, columns, channels: 3, samples: colours, bitsStored: 8, ...plain, ...drawn }
  }
  const rgb = raster.rgb ? samples : toRgb(samples, module)
  return { rows, columns, channels: 3, samples: rgb, bitsStored: module.bitsStored, ...plain, ...drawn }
}
