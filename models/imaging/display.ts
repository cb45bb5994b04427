/** Stored values to modality values to what a person sees (PS3.3 C.11.1, C.11.2). */
import { fresh, type Take } from './memory.ts'
import { throughTable } from './shades.ts'
import type { DecodedFrame, DisplayImage, Lut, Window } from './types.ts'

/** Centre and width in modality units; LINEAR where no shape is given. */
export type WindowChoice = Pick<Window, 'center' | 'width'> & Partial<Pick<Window, 'shape'>>

type ValueMap = (stored: number) => number

/**
 * Modality values: Hounsfield units in CT, and so on (PS3.3 C.11.1). Not inverted, padding not touched; RGB as it is.
 * @returns rows × columns × channels values, as in `frame.samples`
 */
export function toModality(frame: DecodedFrame): Float32Array {
  const { samples } = frame
  const out = new Float32Array(samples.length)
  const modality = modalityMap(frame)
  for (let i = 0; i < out.length; i++) out[i] = modality(samples[i] ?? 0)
  return out
}

/**
 * 8 bits as a person should see it. Of `window`, the frame's first window and its VOI LUT the first that there is applies;
 * with none of them the range is 0 to 2^Bits Stored - 1 for unsigned images of up to 8 bits (they were made to be seen so),
 * and otherwise the least to the greatest value in the image, padding apart. Padding is black.
 */
export function toDisplay(frame: DecodedFrame, window?: WindowChoice, take = fresh): DisplayImage {
  const { rows: height, columns: width, channels } = frame
  const data = channels === 3 ? rgb8(frame) : grey8(frame, window, take)
  return { width, height, channels, data }
}

function rgb8({ samples, bitsStored }: DecodedFrame): Uint8Array {
  if (samples instanceof Uint8Array) return samples.slice()
  const max = 2 ** bitsStored - 1
  return Uint8Array.from(samples, value => Math.min(255, Math.max(0, Math.round((value * 255) / max))))
}

function grey8(frame: DecodedFrame, window: WindowChoice | undefined, take: Take): Uint8Array {
  const { samples, padding, inverted } = frame
  const modality = modalityMap(frame)
  const voi = voiMap(frame, modality, window)
  const low = padding?.low ?? Number.NaN
  const high = padding?.high ?? Number.NaN
  const shade: ValueMap = stored => {
    if (stored >= low && stored <= high) return 0
    const grey = Math.round(voi(modality(stored)))
    return inverted ? 255 - grey : grey
  }
  return throughTable(samples, shade, take)
}

function modalityMap({ modality }: DecodedFrame): ValueMap {
  if ('lut' in modality) return stored => lookUp(modality.lut, stored)
  const { slope, intercept } = modality
  if (slope === 1 && intercept === 0) return stored => stored
  return stored => stored * slope + intercept
}

function lookUp({ first, entries }: Lut, value: number): number {
  const at = Math.min(entries.length - 1, Math.max(0, Math.round(value) - first))
  return entries[at] ?? 0
}

function voiMap(frame: DecodedFrame, modality: ValueMap, window: WindowChoice | undefined): ValueMap {
  const chosen = window ?? frame.windows[0]
  if (chosen !== undefined) return windowMap({ shape: 'linear', ...chosen })
  const { voiLut } = frame
  if (voiLut !== null) {
    // Entries may use fewer bits than declared allow, never more (PS3.3 C.11.2.1.1).
    const scale = 255 / (2 ** voiLut.bits - 1)
    return value => Math.min(255, lookUp(voiLut, value) * scale)
  }
  const [low, high] = range(frame, modality)
  if (high <= low) return () => 0
  return value => (value <= low ? 0 : value >= high ? 255 : ((value - low) / (high - low)) * 255)
}

/** PS3.3 C.11.2.1.2.1 (LINEAR), C.11.2.1.3.1 (SIGMOID), C.11.2.1.3.2 (LINEAR_EXACT), to 0..255. */
function windowMap({ center, width, shape }: Window): ValueMap {
  if (shape === 'sigmoid') return x => 255 / (1 + Math.exp((-4 * (x - center)) / width))
  const exact = shape === 'linear-exact'
  const c = exact ? center : center - 0.5
  const w = exact ? width : Math.max(1, width) - 1
  return x => (x <= c - w / 2 ? 0 : x > c + w / 2 ? 255 : ((x - c) / w + 0.5) * 255)
}

/** Of modality values. */
function range(frame: DecodedFrame, modality: ValueMap): [number, number] {
  const { samples, bitsStored, padding } = frame
  if (samples instanceof Uint8Array && bitsStored <= 8) return ordered(modality(0), modality(2 ** bitsStored - 1))
  const mapped = 'lut' in frame.modality
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  const [padLow, padHigh] = [padding?.low ?? Number.NaN, padding?.high ?? Number.NaN]
  for (let i = 0; i < samples.length; i++) {
    const stored = samples[i] ?? 0
    if (stored >= padLow && stored <= padHigh) continue
    const value = mapped ? modality(stored) : stored
    if (value < low) low = value
    if (value > high && value !== Number.POSITIVE_INFINITY) high = value
  }
  return mapped ? [low, high] : ordered(modality(low), modality(high))
}

const ordered = (a: number, b: number): [number, number] => (a <= b ? [a, b] : [b, a])
