/**
 * Stored values to 8 bit by a table. An image has far more pixels than values, so each value is worked out once; what is left
 * is one look-up a pixel, a quarter of a million for a slice: it is that which counts.
 */
import { fresh, type Take } from './memory.ts'
import { bits, room, shade } from './simd/pixels.ts'
import type { Samples } from './types.ts'

type Shade = (stored: number) => number

/** Words that are looked up in one call, and where what comes of them and the table lie meanwhile, bytes. */
const atOnce = 256 * 1024
/** Of one read there. */
const reach = 16
const shadesAt = 2 * atOnce + reach
const tableAt = shadesAt + atOnce + reach

/** @param shade 0 to 255 of one stored value */
export function throughTable(samples: Samples, shade: Shade, take = fresh): Uint8Array {
  if (samples instanceof Uint8Array) return throughBytes(samples, tableOf(256, shade))
  const words = samples instanceof Uint16Array || samples instanceof Int16Array
  const made = words ? throughWords(samples, shade, take) : undefined
  if (made !== undefined) return made
  const out = new Uint8Array(samples.length)
  const span = spanOf(samples)
  if (span === undefined) {
    for (let i = 0; i < out.length; i++) out[i] = shade(samples[i] ?? 0)
    return out
  }
  const { first, count } = span
  const table = tableOf(count, at => shade(first + at))
  for (let i = 0; i < out.length; i++) out[i] = table[(samples[i] ?? 0) - first] ?? 0
  return out
}

function tableOf(count: number, shade: Shade): Uint8Array {
  const table = new Uint8Array(count)
  for (let at = 0; at < count; at++) table[at] = shade(at)
  return table
}

/** Bytes by themselves: a loop that meets one kind of array runs twice as fast, and most pictures stay as they are. */
function throughBytes(samples: Uint8Array, table: Uint8Array): Uint8Array {
  if (table.every((shade, value) => shade === value)) return samples.slice()
  const out = new Uint8Array(samples.length)
  for (let i = 0; i < out.length; i++) out[i] = table[samples[i] ?? 0] ?? 0
  return out
}

/**
 * Words by fours, in an eighth of the time of one by one. The table has an entry for each pattern of as many low bits as there
 * are in use, so that negative values are looked up as they stand.
 *
 * @returns nothing where a table would be larger than the image
 */
function throughWords(samples: Uint16Array | Int16Array, shadeOf: Shade, take: Take): Uint8Array | undefined {
  const { buffer, byteOffset, length } = samples
  const words = new Uint8Array(buffer, byteOffset, 2 * length)
  const signed = samples instanceof Int16Array
  let used = 0
  for (let at = 0; at < length; at += atOnce) used |= bits(0, lay(words, at), signed ? -1 : 0)
  const count = 2 ** (32 - Math.clz32(used) + (signed ? 1 : 0))
  if (count > Math.max(256, length)) return undefined
  const table = tableOf(count, at => shadeOf(signed && at >= count / 2 ? at - count : at))
  const there = room(tableAt + count)
  there.set(table, tableAt)
  const out = take(length)
  for (let at = 0; at < length; at += atOnce) {
    // A single block still lies there from when its bits were found out.
    const end = length > atOnce ? lay(words, at) : 2 * length
    shade(0, end, tableAt, count - 1, shadesAt)
    out.set(there.subarray(shadesAt, shadesAt + Math.min(atOnce, length - at)), at)
  }
  return out
}

/** Puts the words from there on where they are worked on, zeros behind them. @returns where they end, bytes */
function lay(words: Uint8Array, at: number): number {
  const there = room(tableAt)
  const block = words.subarray(2 * at, 2 * (at + atOnce))
  there.set(block)
  there.fill(0, block.length, block.length + reach)
  return block.length
}

/** The values that a table covers, where one costs less than working each pixel out. */
function spanOf(samples: Samples): { first: number; count: number } | undefined {
  if (samples instanceof Float32Array || samples instanceof Float64Array || samples.length === 0) return undefined
  let low = samples[0] ?? 0
  let high = low
  for (let i = 0; i < samples.length; i++) {
    const value = samples[i] ?? 0
    if (value < low) low = value
    if (value > high) high = value
  }
  const count = high - low + 1
  return count <= Math.max(256, samples.length) ? { first: low, count } : undefined
}
