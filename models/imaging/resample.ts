/**
 * Pillow's `Image.resize`, bit for bit: 8-bit samples, antialiased bilinear and bicubic (a = -0.5) in fixed point with
 * 22 bits of precision, horizontal then vertical pass (but see isMainlyDown); nearest by the centre of each pixel (Pillow: src/libImaging/
 * Resample.c and Geometry.c). Models are trained on it, so serving must not differ.
 */
import { fresh, type Take } from './memory.ts'
import { acrossInLanes, downInLanes } from './simd/resample.ts'

export type Filter = 'nearest' | 'bilinear' | 'bicubic'

export interface Coefficients {
  /** Taps of one output sample, at most. */
  taps: number
  /** First input sample of each output sample. */
  starts: Int32Array
  counts: Int32Array
  /** Weights in fixed point, `taps` for each output sample. */
  weights: Int32Array
}

const precision = 22
const half = 1 << (precision - 1)
const maxCached = 64

/**
 * @param data width × height × channels samples, pixel interleaved
 * @returns toWidth × toHeight × channels samples
 */
export function resample(
  data: Uint8Array,
  width: number,
  height: number,
  channels: 1 | 3,
  toWidth: number,
  toHeight: number,
  filter: Filter,
  take = fresh,
): Uint8Array {
  if (data.length !== width * height * channels || toWidth < 1 || toHeight < 1)
    throw new RangeError(`${data.length} samples for ${width} x ${height} x ${channels}, to ${toWidth} x ${toHeight}`)
  if (width === toWidth && height === toHeight) return data.slice()
  if (filter === 'nearest') return nearest(data, width, height, channels, toWidth, toHeight)
  const across = width === toWidth ? undefined : coefficients(width, toWidth, filter)
  const down = height === toHeight ? undefined : coefficients(height, toHeight, filter)
  if (across !== undefined && down !== undefined && isMainlyDown(width, height, toWidth, toHeight))
    return horizontal(vertical(data, width, height, channels, down, take), width, toHeight, channels, across, take)
  const wide = across === undefined ? data : horizontal(data, width, height, channels, across, take)
  return down === undefined ? wide : vertical(wide, toWidth, height, channels, down, take)
}

/** Pillow 13 does the vertical pass first then; each pass rounds, so the order shows in the last bit. */
const isMainlyDown = (width: number, height: number, toWidth: number, toHeight: number) =>
  height > toHeight && height - toHeight > 2 * (width - toWidth)

const cache = new Map<string, Coefficients>()

function coefficients(from: number, to: number, filter: 'bilinear' | 'bicubic'): Coefficients {
  const key = `${from}:${to}:${filter}`
  const known = cache.get(key)
  if (known !== undefined) return known
  const made = makeCoefficients(from, to, filter)
  if (cache.size >= maxCached) cache.delete(cache.keys().next().value ?? '')
  cache.set(key, made)
  return made
}

function makeCoefficients(from: number, to: number, filter: 'bilinear' | 'bicubic'): Coefficients {
  const [weigh, radius] = filter === 'bilinear' ? [triangle, 1] : [cubic, 2]
  const scale = from / to
  const filterScale = Math.max(1, scale)
  const support = radius * filterScale
  const taps = Math.ceil(support) * 2 + 1
  const starts = new Int32Array(to)
  const counts = new Int32Array(to)
  const weights = new Int32Array(to * taps)
  const floats = new Float64Array(taps)
  for (let out = 0; out < to; out++) {
    const center = (out + 0.5) * scale
    const start = Math.max(0, Math.trunc(center - support + 0.5))
    const count = Math.min(from, Math.trunc(center + support + 0.5)) - start
    let sum = 0
    for (let i = 0; i < count; i++) {
      const weight = weigh((i + start - center + 0.5) * (1 / filterScale))
      floats[i] = weight
      sum += weight
    }
    starts[out] = start
    counts[out] = count
    for (let i = 0; i < count; i++) {
      const weight = sum === 0 ? (floats[i] ?? 0) : (floats[i] ?? 0) / sum
      weights[out * taps + i] = Math.trunc((weight < 0 ? -0.5 : 0.5) + weight * 2 ** precision)
    }
  }
  return { taps, starts, counts, weights }
}

function triangle(x: number): number {
  const at = Math.abs(x)
  return at < 1 ? 1 - at : 0
}

function cubic(x: number): number {
  const a = -0.5
  const at = Math.abs(x)
  if (at < 1) return ((a + 2) * at - (a + 3)) * at * at + 1
  return at < 2 ? (((at - 5) * at + 8) * at - 4) * a : 0
}

const clip = (sum: number) => Math.min(255, Math.max(0, sum >> precision))

function horizontal(
  data: Uint8Array,
  width: number,
  height: number,
  channels: 1 | 3,
  c: Coefficients,
  take: Take,
): Uint8Array {
  const inLanes = channels === 1 ? acrossInLanes(data, width, height, c, take) : undefined
  if (inLanes !== undefined) return inLanes
  const { taps, starts, counts, weights } = c
  const toWidth = starts.length
  const out = take(toWidth * height * channels)
  if (channels === 1) return horizontalGrey(data, width, height, c, out)
  for (let y = 0, to = 0; y < height; y++) {
    const row = y * width * channels
    for (let x = 0; x < toWidth; x++) {
      const count = counts[x] ?? 0
      const first = row + (starts[x] ?? 0) * channels
      for (let channel = 0; channel < channels; channel++) {
        let sum = half
        for (let i = 0, from = first + channel, w = x * taps; i < count; i++, from += channels, w++) {
          sum = (sum + Math.imul(data[from] ?? 0, weights[w] ?? 0)) | 0
        }
        out[to++] = clip(sum)
      }
    }
  }
  return out
}

/** Most pictures are grey, and large. Sums stay below 2^31 (weights add up to 2^22, samples to 255), so 32 bits are exact. */
function horizontalGrey(data: Uint8Array, width: number, height: number, c: Coefficients, out: Uint8Array): Uint8Array {
  const { taps, starts, counts, weights } = c
  const toWidth = starts.length
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < toWidth; x++, to++) {
      const count = counts[x] ?? 0
      const from = y * width + (starts[x] ?? 0)
      const w = x * taps
      let sum = half
      for (let i = 0; i < count; i++) sum = (sum + Math.imul(data[from + i] ?? 0, weights[w + i] ?? 0)) | 0
      out[to] = clip(sum)
    }
  }
  return out
}

function vertical(
  data: Uint8Array,
  width: number,
  height: number,
  channels: 1 | 3,
  c: Coefficients,
  take: Take,
): Uint8Array {
  const { taps, starts, counts, weights } = c
  const stride = width * channels
  const toHeight = starts.length
  if (data.length !== stride * height) throw new RangeError('rows of another width')
  const inLanes = downInLanes(data, stride, height, c, take)
  if (inLanes !== undefined) return inLanes
  const out = take(stride * toHeight)
  const sums = new Int32Array(stride)
  for (let y = 0; y < toHeight; y++) {
    sums.fill(half)
    const count = counts[y] ?? 0
    for (let i = 0; i < count; i++) {
      const weight = weights[y * taps + i] ?? 0
      const from = ((starts[y] ?? 0) + i) * stride
      for (let x = 0; x < stride; x++) sums[x] = (sums[x] ?? 0) + Math.imul(data[from + x] ?? 0, weight)
    }
    const to = y * stride
    for (let x = 0; x < stride; x++) out[to + x] = clip(sums[x] ?? 0)
  }
  return out
}

function nearest(
  data: Uint8Array,
  width: number,
  height: number,
  channels: 1 | 3,
  toWidth: number,
  toHeight: number,
): Uint8Array {
  const out = new Uint8Array(toWidth * toHeight * channels)
  const columns = positions(width, toWidth)
  const rows = positions(height, toHeight)
  for (let y = 0, to = 0; y < toHeight; y++) {
    const row = (rows[y] ?? 0) * width
    for (let x = 0; x < toWidth; x++) {
      const from = (row + (columns[x] ?? 0)) * channels
      for (let channel = 0; channel < channels; channel++) out[to++] = data[from + channel] ?? 0
    }
  }
  return out
}

/** As ImagingScaleAffine adds them up, rounding errors and all. */
function positions(from: number, to: number): Int32Array {
  const scale = from / to
  let at = scale * 0.5
  return Int32Array.from({ length: to }, () => {
    const position = Math.min(from - 1, Math.max(0, Math.trunc(at)))
    at += scale
    return position
  })
}
