/** What a preview shows: the image as a person should see it, with the colours and graphics that belong to it. */
import { throughPalette } from './colour.ts'
import { toDisplay, type WindowChoice } from './display.ts'
import type { DecodedFrame, DisplayImage } from './types.ts'

/**
 * The display of a frame (display.ts), values of a supplemental palette in colour (PS3.3 C.7.6.19), graphics of overlays in
 * white (PS3.3 C.9.2). Models are given none of these: what is drawn on an image is what somebody said of it.
 */
export function toPreview(frame: DecodedFrame, window?: WindowChoice): DisplayImage {
  const display = toDisplay(frame, window)
  const image = frame.supplement === undefined ? display : coloured(frame, display)
  const { overlay } = frame
  if (overlay === undefined) return image
  const { channels, data } = image
  for (let i = 0; i < overlay.length; i++) if (overlay[i] === 1) data.fill(255, i * channels, (i + 1) * channels)
  return image
}

function coloured({ samples, supplement }: DecodedFrame, grey: DisplayImage): DisplayImage {
  if (supplement === undefined) return grey
  const colours = throughPalette(samples, supplement)
  const data = new Uint8Array(samples.length * 3)
  for (let i = 0; i < samples.length; i++) {
    const mapped = (samples[i] ?? 0) >= supplement.first
    for (let channel = 0; channel < 3; channel++)
      data[i * 3 + channel] = (mapped ? colours[i * 3 + channel] : grey.data[i]) ?? 0
  }
  return { ...grey, channels: 3, data }
}
