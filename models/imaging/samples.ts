/** From a codec's bytes to samples: byte order, planes, bits outside Bits Stored, signs, colour. */
import type { Raster } from './codecs/raster.ts'
import type { PixelModule } from './dicom/pixels.ts'
import type { Samples } from './types.ts'

export function toSamples(raster: Raster, module: PixelModule): Samples {
  const typed = view(raster, module)
  const straight = raster.planar ? interleaved(typed, module) : typed
  return module.float ? straight : settled(straight, raster, module)
}

/** Samples of the declared width and sign over the codec's bytes. */
function view(raster: Raster, module: PixelModule): Samples {
  // typed arrays need their own alignment; codecs give fresh buffers nearly always
  const step = raster.bits / 8
  const data = raster.data.byteOffset % step === 0 ? raster.data : raster.data.slice()
  const { buffer, byteOffset } = data
  const length = data.length / step
  if (module.float) {
    return raster.bits === 64
      ? new Float64Array(buffer, byteOffset, length)
      : new Float32Array(buffer, byteOffset, length)
  }
  if (raster.bits === 8) return module.signed ? new Int8Array(buffer, byteOffset, length) : data
  if (raster.bits === 16) {
    return module.signed ? new Int16Array(buffer, byteOffset, length) : new Uint16Array(buffer, byteOffset, length)
  }
  return module.signed ? new Int32Array(buffer, byteOffset, length) : new Uint32Array(buffer, byteOffset, length)
}

/** RRR… GGG… BBB… to RGB RGB … (Planar Configuration 1, PS3.3 C.7.6.3.1.3). */
function interleaved(planes: Samples, module: PixelModule): Samples {
  const pixels = module.rows * module.columns
  const out = planes.slice()
  for (let channel = 0; channel < module.samples; channel++) {
    const from = channel * pixels
    for (let i = 0; i < pixels; i++) out[i * module.samples + channel] = planes[from + i] ?? 0
  }
  return out
}

/**
 * Native pixels may hold overlays above Bits Stored: those bits go (PS3.5 8.1.1). A codestream has nothing of the kind
 * and lossy values may overshoot Bits Stored, so there only the sign is extended, from the precision of the codestream.
 */
function settled(samples: Samples, raster: Raster, module: PixelModule): Samples {
  const shift = raster.masked ? module.highBit + 1 - module.bitsStored : 0
  const bits = raster.masked ? module.bitsStored : raster.precision
  const width = raster.bits
  if (bits === width || (!raster.masked && !module.signed)) return samples
  const left = 32 - bits - shift
  const right = 32 - bits
  if (module.signed) for (let i = 0; i < samples.length; i++) samples[i] = ((samples[i] ?? 0) << left) >> right
  else for (let i = 0; i < samples.length; i++) samples[i] = ((samples[i] ?? 0) << left) >>> right
  return samples
}
