/** What an answer rests on, in colours over the image as people see it. */
import { once } from '../imaging/codecs/raster.ts'
import { toPreview } from '../imaging/preview.ts'
import { resample } from '../imaging/resample.ts'
import type { DecodedFrame, DisplayImage } from '../imaging/types.ts'
import type { ModelManifest } from '../manifest.ts'
import { type Along, type Placement, toInput } from '../prepare/placement.ts'
import { firstNotFinite, onPlane, type Plane } from './plane.ts'

/** Longest side, pixels: each explained image has such a picture, and its object is 0.8 MB at most. */
const longestSide = 512

/** The image that the colours go over, while the model runs. */
export interface Shown {
  image: DisplayImage
  /** Size of the stored image. */
  rows: number
  columns: number
}

export function shownOf(frame: DecodedFrame): Shown {
  const { rows, columns } = frame
  const { width, height, channels, data } = toPreview(frame)
  const scale = Math.min(1, longestSide / Math.max(width, height))
  const [toWidth, toHeight] = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))]
  const small = scale === 1 ? data : resample(data, width, height, channels, toWidth, toHeight, 'bilinear')
  return { image: { width: toWidth, height: toHeight, channels, data: small }, rows, columns }
}

const loadSharp = once(async () => {
  const { default: sharp } = await import('sharp')
  sharp.cache(false) // each picture is encoded once
  return sharp
})

/**
 * PNG, RGB: from no colour, where the plane is lowest within the image, to pale yellow where it is highest. Of a plane that is
 * the same everywhere the image alone. Undefined where it holds what is no number.
 */
export async function drawExplanation(
  { image, rows, columns }: Shown,
  plane: Plane,
  input: Pick<ModelManifest['input'], 'width' | 'height'>,
  place: Placement,
): Promise<Uint8Array | undefined> {
  if (firstNotFinite(plane) >= 0) return undefined
  const { width, height } = image
  const across = taps(width, columns, onPlane(place.x, plane.width, input.width), plane.width)
  const down = taps(height, rows, onPlane(place.y, plane.height, input.height), plane.height)
  const rgb = coloured(image, sample(plane, across, down))
  const encoder = (await loadSharp())(rgb, { raw: { width, height, channels: 3 } })
  return await encoder.png({ compressionLevel: 3 }).toBuffer()
}

/** Between which two samples of the plane a pixel of the picture lies, and how far from the first. */
interface Tap {
  first: number
  second: number
  share: number
}

/** Undefined for a pixel that the model was not shown. */
function taps(pixels: number, stored: number, along: Along, samples: number): (Tap | undefined)[] {
  return Array.from({ length: pixels }, (_, i) => {
    const edge = toInput(along, ((i + 0.5) * stored) / pixels)
    if (edge === undefined) return undefined
    const at = Math.min(samples - 1, Math.max(0, edge - 0.5))
    const first = Math.floor(at)
    return { first, second: Math.min(samples - 1, first + 1), share: at - first }
  })
}

/** Bilinear, across and then down. NaN for a pixel that the model was not shown. */
function sample({ width, height, data }: Plane, across: (Tap | undefined)[], down: (Tap | undefined)[]): Float32Array {
  const columns = across.length
  const wide = new Float32Array(columns * height).fill(Number.NaN)
  for (const [x, tap] of across.entries()) {
    if (!tap) continue
    const { first, second, share } = tap
    for (let y = 0; y < height; y += 1)
      wide[y * columns + x] = mixed(data[y * width + first] ?? 0, data[y * width + second] ?? 0, share)
  }
  const values = new Float32Array(columns * down.length).fill(Number.NaN)
  for (const [y, tap] of down.entries()) {
    if (!tap) continue
    const [upper, lower, at] = [tap.first * columns, tap.second * columns, y * columns]
    for (let x = 0; x < columns; x += 1) values[at + x] = mixed(wide[upper + x] ?? 0, wide[lower + x] ?? 0, tap.share)
  }
  return values
}

const mixed = (a: number, b: number, share: number) => a + (b - a) * share

function coloured({ width, height, channels, data }: DisplayImage, values: Float32Array): Uint8Array {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (let at = 0; at < values.length; at += 1) {
    const value = values[at] ?? Number.NaN
    if (value < low) low = value
    if (value > high) high = value
  }
  const toLevel = high > low ? 255 / (high - low) : 0
  const rgb = new Uint8Array(width * height * 3)
  for (let at = 0, to = 0; at < values.length; at += 1, to += 3) {
    const value = values[at] ?? Number.NaN
    const level = Number.isNaN(value) ? 0 : Math.round((value - low) * toLevel)
    const under = channels === 1 ? at : to
    const step = channels === 1 ? 0 : 1
    const kept = seenThrough[level] ?? 1
    rgb[to] = (data[under] ?? 0) * kept + (laidOver[level * 3] ?? 0)
    rgb[to + 1] = (data[under + step] ?? 0) * kept + (laidOver[level * 3 + 1] ?? 0)
    rgb[to + 2] = (data[under + 2 * step] ?? 0) * kept + (laidOver[level * 3 + 2] ?? 0)
  }
  return rgb
}

/** Of the highest: the image is still seen through it. */
const strongest = 0.7

/** Inferno (S. van der Walt, N. Smith, CC0): evenly brighter to the eye, also to one that does not tell red from green. */
const anchors = [
  [0, 0, 4],
  [31, 12, 72],
  [85, 15, 109],
  [136, 34, 106],
  [186, 54, 85],
  [227, 89, 51],
  [249, 140, 10],
  [249, 201, 50],
  [252, 255, 164],
] as const

/** Of each of 256 levels the share of the image that is seen. */
const seenThrough = Float64Array.from({ length: 256 }, (_, level) => 1 - (strongest * level) / 255)

/** What is added to that: red, green and blue of each level, and a half, so that it is rounded when it is made whole. */
const laidOver = Float64Array.from({ length: 256 * 3 }, (_, i) => {
  const level = Math.floor(i / 3)
  const at = (level * (anchors.length - 1)) / 255
  const first = Math.min(anchors.length - 2, Math.floor(at))
  const channel = (i % 3) as 0 | 1 | 2
  const colour = mixed(anchors[first]?.[channel] ?? 0, anchors[first + 1]?.[channel] ?? 0, at - first)
  return (colour * strongest * level) / 255 + 0.5
})
