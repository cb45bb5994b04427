/** Colour as stored to RGB (PS3.3 C.7.6.3.1.2, C.7.6.3.1.5, C.7.9). */
import { failed } from './codecs/raster.ts'
import type { Palette } from './dicom/palette.ts'
import type { PixelModule } from './dicom/pixels.ts'
import type { Samples } from './types.ts'

/** @throws RaylogError decode-failed */
export function toRgb(samples: Samples, module: PixelModule): Samples {
  switch (module.photometric) {
    case 'RGB':
    case 'YBR_RCT': // the transform belongs to JPEG 2000, whose decoder undoes it
    case 'YBR_ICT':
      return samples
    case 'YBR_FULL':
    case 'YBR_FULL_422':
      return fromYbr(samples, module.bitsStored)
    default:
      throw failed(`photometric interpretation ${module.photometric} with ${module.samples} samples`)
  }
}

/** Inverse of the CCIR 601-2 equations of PS3.3 C.7.6.3.1.2, full range, rounded half up and clamped. In place. */
function fromYbr(samples: Samples, bits: number): Samples {
  const max = 2 ** bits - 1
  const half = 2 ** (bits - 1)
  const clamp = (value: number) => (value < 0 ? 0 : value > max ? max : Math.floor(value + 0.5))
  for (let i = 0; i + 2 < samples.length; i += 3) {
    const y = samples[i] ?? 0
    const cb = (samples[i + 1] ?? 0) - half
    const cr = (samples[i + 2] ?? 0) - half
    samples[i] = clamp(y + 1.402 * cr)
    samples[i + 1] = clamp(y - ((0.114 * 1.772) / 0.587) * cb - ((0.299 * 1.402) / 0.587) * cr)
    samples[i + 2] = clamp(y + 1.772 * cb)
  }
  return samples
}

/** Palette colours, 8 bits a channel. Values outside the table take its first or last entry. */
export function throughPalette(samples: Samples, palette: Palette): Uint8Array {
  const out = new Uint8Array(samples.length * 3)
  const last = palette.red.length - 1
  for (let i = 0; i < samples.length; i++) {
    const at = Math.min(last, Math.max(0, (samples[i] ?? 0) - palette.first))
    out[i * 3] = palette.red[at] ?? 0
    out[i * 3 + 1] = palette.green[at] ?? 0
    out[i * 3 + 2] = palette.blue[at] ?? 0
  }
  return out
}
