/**
 * The passes of resample.ts where output samples have five taps at most: of 512 pixels to 224 bilinear, for one. With the
 * same sums, so that not a bit differs.
 */
import type { Take } from '../memory.ts'
import type { Coefficients } from '../resample.ts'
import { across, down, room } from './pixels.ts'

/** Taps of an output sample, as pixels.wat has them. */
const few = 5
const lanes = 4
/** Of one read of pixels.wat; it reads as far beyond the end of a picture. */
const reach = 16
/** Bytes of an entry of the tables of pixels.wat. */
const acrossBytes = 16 + few * 16 * 2
const downBytes = 4 + few * 4
/** In a shuffle: no byte. */
const none = 0x80
/** Rows that are in the cache while all their columns are gone through. */
const rowsAtOnce = 64
/** The memory stays as large as it was needed. */
const mostBytes = 8 * 1024 * 1024
/** Of coefficients that are used again and again; undefined of those that are not for this. */
const tables = new WeakMap<Coefficients, { across?: Uint8Array | undefined; down?: Uint8Array | undefined }>()

function tableOf(which: 'across' | 'down', of: Coefficients, from: number): Uint8Array | undefined {
  const known = tables.get(of) ?? {}
  tables.set(of, known)
  if (!(which in known))
    known[which] = fits(of, from) ? (which === 'across' ? acrossTable : downTable)(of, from) : undefined
  return known[which]
}

const fits = ({ counts }: Coefficients, from: number) => from >= few && counts.every(count => count <= few)

/** First input sample, and the weights: exactly so many taps, those that it lacks of weight 0. */
function tapsOf({ taps, starts, counts, weights }: Coefficients, from: number, out: number) {
  const start = Math.min(starts[out] ?? 0, from - few)
  const padded = new Int32Array(few)
  padded.set(weights.subarray(out * taps, out * taps + (counts[out] ?? 0)), (starts[out] ?? 0) - start)
  return { start, weights: padded }
}

/** @returns nothing where four output samples look further than one read goes */
function acrossTable(of: Coefficients, from: number): Uint8Array | undefined {
  const groups = Math.ceil(of.starts.length / lanes)
  const table = new DataView(new ArrayBuffer(groups * acrossBytes))
  for (let group = 0; group < groups; group++) {
    const first = group * lanes
    const { start } = tapsOf(of, from, first)
    const at = group * acrossBytes
    table.setInt32(at, start, true)
    for (let tap = 0; tap < few; tap++) for (let i = 0; i < reach; i++) table.setUint8(at + 16 + tap * 16 + i, none)
    for (let lane = 0; lane < Math.min(lanes, of.starts.length - first); lane++) {
      const sample = tapsOf(of, from, first + lane)
      const offset = sample.start - start
      if (offset + few > reach) return undefined
      for (let tap = 0; tap < few; tap++) {
        table.setUint8(at + 16 + tap * 16 + lane * 4, offset + tap)
        table.setInt32(at + 16 + few * 16 + tap * 16 + lane * 4, sample.weights[tap] ?? 0, true)
      }
    }
  }
  return new Uint8Array(table.buffer)
}

function downTable(of: Coefficients, from: number): Uint8Array {
  const rows = of.starts.length
  const table = new DataView(new ArrayBuffer(rows * downBytes))
  for (let row = 0; row < rows; row++) {
    const { start, weights } = tapsOf(of, from, row)
    table.setInt32(row * downBytes, start, true)
    for (const [tap, weight] of weights.entries()) table.setInt32(row * downBytes + 4 + tap * 4, weight, true)
  }
  return new Uint8Array(table.buffer)
}

const aligned = (bytes: number) => Math.ceil(bytes / reach) * reach

/** Rows that begin at each multiple of one stride to such of another; of the longer ones the beginning. */
function copyRows(from: Uint8Array, fromStride: number, to: Uint8Array, toStride: number, rows: number): void {
  if (fromStride === toStride) {
    to.set(from.subarray(0, rows * fromStride))
    return
  }
  const length = Math.min(fromStride, toStride)
  for (let row = 0; row < rows; row++)
    to.set(from.subarray(row * fromStride, row * fromStride + length), row * toStride)
}

/**
 * The pass across, of a grey picture.
 *
 * @param data width × height samples
 * @returns one row for each of its rows; nothing where it is not for this
 */
export function acrossInLanes(
  data: Uint8Array,
  width: number,
  height: number,
  coefficients: Coefficients,
  take: Take,
): Uint8Array | undefined {
  const table = tableOf('across', coefficients, width)
  if (table === undefined) return undefined
  const toWidth = coefficients.starts.length
  const groups = Math.ceil(toWidth / lanes)
  const stride = groups * lanes
  const outAt = aligned(data.length + reach)
  const tableAt = aligned(outAt + stride * height)
  const bytes = tableAt + table.length
  if (bytes > mostBytes) return undefined

  const there = room(bytes)
  there.set(data)
  there.set(table, tableAt)
  for (let row = 0; row < height; row += rowsAtOnce) {
    const rows = Math.min(rowsAtOnce, height - row)
    across(row * width, width, rows, tableAt, groups, outAt + row * stride, stride)
  }
  const out = take(toWidth * height)
  copyRows(there.subarray(outAt), stride, out, toWidth, height)
  return out
}

/**
 * The pass down.
 *
 * @param data rows of so many samples, of whichever channels
 * @returns as many rows as the coefficients say; nothing where it is not for this
 */
export function downInLanes(
  data: Uint8Array,
  samples: number,
  height: number,
  coefficients: Coefficients,
  take: Take,
): Uint8Array | undefined {
  const table = tableOf('down', coefficients, height)
  if (table === undefined) return undefined
  const toHeight = coefficients.starts.length
  const stride = aligned(samples)
  const outAt = stride * height
  const tableAt = outAt + stride * toHeight
  const bytes = tableAt + table.length
  if (bytes > mostBytes) return undefined

  const there = room(bytes)
  copyRows(data, samples, there, stride, height)
  there.set(table, tableAt)
  down(0, stride, tableAt, toHeight, outAt)
  const out = take(samples * toHeight)
  copyRows(there.subarray(outAt), stride, out, samples, toHeight)
  return out
}
