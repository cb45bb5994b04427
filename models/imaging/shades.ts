/**
 * Stored values to 8 bit by a table. An image has far more pixels than values, so each value is worked out once; what is left
 * is one look-up a pixel, a quarter of a million for a slice: it is that which counts.
 */
import { fresh, type Take } from './memory.ts'
import type { Samples } from './types.ts'

type Shade = (stored: number) => number

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
 * Words by pairs: two to a read and four to a write, in a quarter of the time of one by one. The table has an entry for each
 * pattern of as many low bits as there are in use, so that negative values are looked up as they stand.
 *
 * @returns nothing where they do not make pairs, or a table would be larger than the image
 */
function throughWords(samples: Uint16Array | Int16Array, shade: Shade, take: Take): Uint8Array | undefined {
  const { buffer, byteOffset, length } = samples
  if (byteOffset % 4 !== 0 || length % 4 !== 0) return undefined
  const pairs = new Int32Array(buffer, byteOffset, length / 2)
  const signed = samples instanceof Int16Array
  const count = 2 ** (signed ? signedBits(pairs) : bitsOf(pairs))
  if (count > Math.max(256, length)) return undefined
  const table = tableOf(count, at => shade(signed && at >= count / 2 ? at - count : at))
  const mask = count - 1
  const out = take(length)
  const fours = new Int32Array(out.buffer, out.byteOffset, length / 4)
  for (let i = 0, from = 0; i < fours.length; i++, from += 2) {
    const first = pairs[from] ?? 0
    const second = pairs[from + 1] ?? 0
    const low = (table[first & mask] ?? 0) | ((table[(first >>> 16) & mask] ?? 0) << 8)
    const high = (table[second & mask] ?? 0) | ((table[(second >>> 16) & mask] ?? 0) << 8)
    fours[i] = low | (high << 16)
  }
  return out
}

/** Bits that unsigned words use. */
function bitsOf(pairs: Int32Array): number {
  let all = 0
  for (let i = 0; i < pairs.length; i++) all |= pairs[i] ?? 0
  return widthOf(all)
}

/** Bits that signed words use, the sign's among them: of a negative one those count that differ from its sign. */
function signedBits(pairs: Int32Array): number {
  let all = 0
  for (let i = 0; i < pairs.length; i++) {
    const pair = pairs[i] ?? 0
    all |= pair ^ Math.imul((pair >>> 15) & 0x1_0001, 0xffff)
  }
  return widthOf(all) + 1
}

/** Bits of the wider half. */
const widthOf = (pair: number): number => 32 - Math.clz32((pair & 0xffff) | (pair >>> 16))

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
