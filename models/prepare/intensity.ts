/** A decoded frame as 8 bit pixels in the channels that a model wants: one (grey) or three (RGB). */
import { toDisplay, toModality } from '../imaging/display.ts'
import { fresh } from '../imaging/memory.ts'
import type { DecodedFrame } from '../imaging/types.ts'
import type { ModelManifest } from '../manifest.ts'

export interface Pixels {
  width: number
  height: number
  channels: 1 | 3
  /** 8 bit, row by row, interleaved. */
  data: Uint8Array
}

type Input = Pick<ModelManifest['input'], 'intensity' | 'channels'>

/**
 * 8 bit pixels as the manifest's `intensity` and `channels` say. A grey picture stays one channel for an RGB model: its
 * three planes are equal, and are made equal when the tensor is written (tensor.ts).
 */
export function toPixels(frame: DecodedFrame, input: Input, take = fresh): Pixels {
  const pixels =
    input.intensity.from === 'display' ? toDisplay(frame, undefined, take) : fromModality(frame, input.intensity)
  if (input.channels !== 'grey' || pixels.channels === 1) return pixels
  return { width: pixels.width, height: pixels.height, channels: 1, data: toGrey(pixels.data) }
}

/** low..high of the modality values to 0..255, rounded half up; what is outside is clamped. */
function fromModality(frame: DecodedFrame, range: { low: number; high: number }): Pixels {
  const values = toModality(frame)
  const data = new Uint8Array(values.length)
  const factor = 255 / (range.high - range.low)
  for (let at = 0; at < data.length; at += 1) {
    const value = Math.floor(((values[at] ?? range.low) - range.low) * factor + 0.5)
    data[at] = Math.min(255, Math.max(0, value))
  }
  return { width: frame.columns, height: frame.rows, channels: frame.channels, data }
}

/** ITU-R 601-2 luma in 16 bit fixed point, as Pillow's convert('L') has it (libImaging/Convert.c, L24). */
function toGrey(rgb: Uint8Array): Uint8Array {
  const grey = new Uint8Array(rgb.length / 3)
  for (let at = 0, from = 0; at < grey.length; at += 1, from += 3) {
    const luma = (rgb[from] ?? 0) * 19595 + (rgb[from + 1] ?? 0) * 38470 + (rgb[from + 2] ?? 0) * 7471
    grey[at] = (luma + 0x8000) >> 16
  }
  return grey
}
