/** 8 bit pixels of a model's size as the numbers that its graph takes. */
import type { ModelManifest } from '../manifest.ts'
import type { Pixels } from './intensity.ts'

type Input = ModelManifest['input']

/** What holds a tensor's elements; float16 travels as its bits. */
export type TensorData = Float32Array | Uint16Array | Uint8Array

export const channelsOf = (input: Pick<Input, 'channels'>): 1 | 3 => (input.channels === 'grey' ? 1 : 3)

/** Elements of one image. */
export const elementsOf = (input: Input): number => channelsOf(input) * input.width * input.height

export const shapeOf = (input: Input, batch: number): number[] =>
  input.layout === 'NCHW'
    ? [batch, channelsOf(input), input.height, input.width]
    : [batch, input.height, input.width, channelsOf(input)]

export function makeTensorData(input: Input, images: number): TensorData {
  const length = elementsOf(input) * images
  if (input.type === 'float16') return new Uint16Array(length)
  return input.type === 'uint8' ? new Uint8Array(length) : new Float32Array(length)
}

/** The element for each of the 256 values, by channel of the tensor: the whole arithmetic of `divideBy`, mean and std. */
export type Tables = readonly TensorData[]

/** (value / divideBy - mean) / std, each step rounded to float32, as numpy does on float32 arrays. Channels that are alike share one. */
export function makeTables(input: Input): Tables {
  const tables: TensorData[] = []
  for (let channel = 0; channel < channelsOf(input); channel += 1) {
    const table = makeTable(input, channel)
    tables.push(tables.find(known => equal(known, table)) ?? table)
  }
  return tables
}

function makeTable(input: Input, channel: number): TensorData {
  const f = Math.fround
  const mean = f(input.mean[channel] ?? input.mean[0] ?? 0)
  const std = f(input.std[channel] ?? input.std[0] ?? 1)
  const values = Float32Array.from({ length: 256 }, (_, value) => f(f(f(value / f(input.divideBy)) - mean) / std))
  if (input.type === 'float16') return Uint16Array.from(values, toHalf)
  if (input.type === 'uint8') return Uint8Array.from(values, value => Math.min(255, Math.max(0, Math.round(value))))
  return values
}

/** Writes one image at `offset` (in elements). A grey picture fills each channel of a colour model alike. */
export function writeTensor(pixels: Pixels, input: Input, tables: Tables, target: TensorData, offset: number): void {
  const area = pixels.width * pixels.height
  const planar = input.layout === 'NCHW'
  const alike = planar && pixels.channels === 1
  tables.forEach((table, channel) => {
    if (alike && channel > 0 && table === tables[0]) {
      target.copyWithin(offset + channel * area, offset, offset + area)
      return
    }
    const source = pixels.channels === 1 ? 0 : input.channels === 'bgr' ? 2 - channel : channel
    const to = offset + (planar ? channel * area : channel)
    if (alike) fillPlane(target, to, table, pixels.data, area)
    else fill(target, to, planar ? 1 : tables.length, table, pixels.data, source, pixels.channels, area)
  })
}

/** Writes `count` elements: every `step`th of `target` from `to` on, of every `stride`th of `data` from `from` on. */
function fill(
  target: TensorData,
  to: number,
  step: number,
  table: TensorData,
  data: Uint8Array,
  from: number,
  stride: number,
  count: number,
): void {
  for (let i = 0; i < count; i += 1) target[to + i * step] = table[data[from + i * stride] ?? 0] ?? 0
}

/** As `fill` does of one plane after another: four pixels a read, which takes two thirds of the time. */
function fillPlane(target: TensorData, to: number, table: TensorData, data: Uint8Array, count: number): void {
  const words = data.byteOffset % 4 === 0 ? new Uint32Array(data.buffer, data.byteOffset, count >> 2) : noWords
  for (let i = 0, at = to; i < words.length; i += 1, at += 4) {
    const word = words[i] ?? 0
    target[at] = table[word & 255] ?? 0
    target[at + 1] = table[(word >>> 8) & 255] ?? 0
    target[at + 2] = table[(word >>> 16) & 255] ?? 0
    target[at + 3] = table[word >>> 24] ?? 0
  }
  const done = 4 * words.length
  fill(target, to + done, 1, table, data, done, 1, count - done)
}

const noWords = new Uint32Array(0)

const equal = (a: TensorData, b: TensorData | undefined) => a.every((value, at) => value === b?.[at])

/** Bits of the IEEE 754 binary16 nearest to `value`, ties to even. */
export function toHalf(value: number): number {
  const view = new DataView(new ArrayBuffer(4))
  view.setFloat32(0, value)
  const bits = view.getUint32(0)
  const sign = (bits >>> 16) & 0x8000
  const magnitude = bits & 0x7fffffff
  if (magnitude > 0x7f800000) return sign | 0x7e00
  if (magnitude >= 0x477ff000) return sign | 0x7c00
  if (magnitude < 0x38800000) return sign | roundEven(Math.abs(value) * 2 ** 24)
  return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13)
}

function roundEven(value: number): number {
  const below = Math.floor(value)
  const rest = value - below
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below
}

/** The number that binary16 `bits` stand for. */
export function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >>> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25)
}
