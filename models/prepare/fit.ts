/** Brings pixels to the width and height of a model's input. */
import { fresh, type Take } from '../imaging/memory.ts'
import { resample } from '../imaging/resample.ts'
import type { ModelManifest } from '../manifest.ts'
import { frameDigit } from './digit.ts'
import type { Pixels } from './intensity.ts'
import { type Placement, wholeOf } from './placement.ts'

type Input = Pick<ModelManifest['input'], 'fit' | 'width' | 'height' | 'resample'>

export interface Fitted {
  /** Of exactly the input's size; the channels stay as they are. */
  pixels: Pixels
  place: Placement
}

/** Resampling is Pillow's, on 8 bit. */
export function fitTo(pixels: Pixels, input: Input, take = fresh): Fitted {
  const { width, height } = input
  if (input.fit === 'digit') {
    const { data, place } = frameDigit(pixels.data, pixels.width, pixels.height)
    return { pixels: { width, height, channels: 1, data }, place }
  }
  if (input.fit === 'pad') return pad(pixels, input, take)
  if (input.fit === 'crop') return crop(pixels, input, take)
  const place = wholeOf(pixels.width, pixels.height, width, height)
  return { pixels: resize(pixels, width, height, input, take), place }
}

function resize(pixels: Pixels, width: number, height: number, input: Input, take: Take): Pixels {
  if (pixels.width === width && pixels.height === height) return pixels
  const { channels } = pixels
  const data = resample(pixels.data, pixels.width, pixels.height, channels, width, height, input.resample, take)
  return { width, height, channels, data }
}

/** The largest centred square; an odd remainder leaves the extra row or column at the end. */
function crop(pixels: Pixels, input: Input, take: Take): Fitted {
  const side = Math.min(pixels.width, pixels.height)
  const left = Math.floor((pixels.width - side) / 2)
  const top = Math.floor((pixels.height - side) / 2)
  const place = {
    x: { from: 0, to: input.width, start: left, end: left + side },
    y: { from: 0, to: input.height, start: top, end: top + side },
  }
  const square = pixels.width === pixels.height ? pixels : cut(pixels, left, top, side)
  return { pixels: resize(square, input.width, input.height, input, take), place }
}

function cut(pixels: Pixels, left: number, top: number, side: number): Pixels {
  const row = side * pixels.channels
  const data = new Uint8Array(row * side)
  for (let y = 0; y < side; y += 1) {
    const from = ((top + y) * pixels.width + left) * pixels.channels
    data.set(pixels.data.subarray(from, from + row), y * row)
  }
  return { width: side, height: side, channels: pixels.channels, data }
}

/** The whole picture, its proportions kept, centred on black; an odd remainder leaves the extra black at the end. */
function pad(pixels: Pixels, input: Input, take: Take): Fitted {
  const scale = Math.min(input.width / pixels.width, input.height / pixels.height)
  const side = (length: number, most: number) => Math.min(most, Math.max(1, Math.floor(length * scale + 0.5)))
  const inner = resize(pixels, side(pixels.width, input.width), side(pixels.height, input.height), input, take)
  const left = Math.floor((input.width - inner.width) / 2)
  const top = Math.floor((input.height - inner.height) / 2)
  const { channels } = inner
  const data = new Uint8Array(input.width * input.height * channels)
  const row = inner.width * channels
  for (let y = 0; y < inner.height; y += 1) {
    data.set(inner.data.subarray(y * row, (y + 1) * row), ((top + y) * input.width + left) * channels)
  }
  const place = {
    x: { from: left, to: left + inner.width, start: 0, end: pixels.width },
    y: { from: top, to: top + inner.height, start: 0, end: pixels.height },
  }
  return { pixels: { width: input.width, height: input.height, channels, data }, place }
}
