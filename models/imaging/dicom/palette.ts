/** Palette colour tables, plain and segmented (PS3.3 C.7.6.3.1.5, C.7.9.2). */
import type { DataSet } from 'dicom-parser'
import { RaylogError } from '../../../schemas/errors.ts'
import { byteAt, readDescriptor, readLut } from './lut.ts'

export interface Palette {
  /** Stored value of the first entry. */
  first: number
  /** 8 bits an entry. */
  red: Uint8Array
  green: Uint8Array
  blue: Uint8Array
}

const tables = [
  ['x00281101', 'x00281201', 'x00281221'],
  ['x00281102', 'x00281202', 'x00281222'],
  ['x00281103', 'x00281203', 'x00281223'],
] as const

/** @throws RaylogError malformed-dicom where a table is missing or broken */
export function readPalette(data: DataSet, signed: boolean): Palette {
  const channels = tables.map(([descriptorTag, plain, segmented]) => {
    const lut = readLut(data, descriptorTag, plain, signed)
    if (lut !== undefined) return lut
    const descriptor = readDescriptor(data, descriptorTag, signed)
    if (descriptor === undefined || data.elements[segmented] === undefined)
      throw new RaylogError('malformed-dicom', 'a palette colour table is missing')
    return { ...descriptor, entries: expand(data, segmented, descriptor.count, descriptor.bits) }
  })
  // Tables said to hold 16 bits but filled with 8 are common; the largest entry of all three tells.
  const wide = channels.some(({ entries }) => entries.some(entry => entry > 255))
  const eight = channels.map(({ entries }) => Uint8Array.from(entries, entry => (wide ? entry >> 8 : entry)))
  const [red, green, blue] = eight
  if (red === undefined || green === undefined || blue === undefined)
    throw new RaylogError('malformed-dicom', 'a palette colour table is missing')
  return { first: channels[0]?.first ?? 0, red, green, blue }
}

/**
 * The Supplemental Palette Color Lookup Table of a grey image (PS3.3 C.7.6.19): values from its first on are shown in colour.
 * @returns undefined where there is none, or where Pixel Presentation does not ask for colour
 * @throws RaylogError malformed-dicom where a table is broken
 */
export function readSupplement(data: DataSet, signed: boolean): Palette | undefined {
  const presentation = data.string('x00089205')?.trim()
  if (presentation !== 'COLOR' && presentation !== 'MIXED') return undefined
  return data.elements.x00281101 === undefined ? undefined : readPalette(data, signed)
}

/** Discrete (0), linear (1) and indirect (2) segments, PS3.3 C.7.9.2.1 to C.7.9.2.3. */
function expand(data: DataSet, tag: string, count: number, bits: number): Uint16Array {
  const element = data.elements[tag]
  const wide = bits > 8
  const length = (element?.length ?? 0) >> (wide ? 1 : 0)
  const read = (at: number): number => {
    const value = wide ? data.uint16(tag, at) : element && byteAt(data, element, at)
    if (value === undefined || at >= length) throw new RaylogError('malformed-dicom', 'a segmented palette ends early')
    return value
  }
  const out: number[] = []
  let indirect = 0
  function segment(at: number, depth: number): number {
    const [opcode, size] = [read(at), read(at + 1)]
    if (opcode === 0) {
      for (let i = 0; i < size && out.length < count; i++) out.push(read(at + 2 + i))
      return at + 2 + size
    }
    if (opcode === 1) {
      const from = out.at(-1) ?? 0
      const to = read(at + 2)
      for (let i = 1; i <= size && out.length < count; i++) out.push(Math.round(from + ((to - from) * i) / size))
      return at + 3
    }
    if (opcode !== 2 || depth > 0 || ++indirect > count)
      throw new RaylogError('malformed-dicom', 'a segmented palette is broken')
    // size segments again, from a byte offset into the table: low word first
    let from = wide ? (read(at + 2) + read(at + 3) * 65_536) >> 1 : bytesOffset(read, at + 2)
    for (let i = 0; i < size && out.length < count; i++) from = segment(from, depth + 1)
    return at + (wide ? 4 : 6)
  }
  for (let at = 0; at < length && out.length < count; ) at = segment(at, 0)
  if (out.length < count) throw new RaylogError('malformed-dicom', 'a segmented palette ends early')
  return Uint16Array.from(out)
}

function bytesOffset(read: (at: number) => number, at: number): number {
  return read(at) + read(at + 1) * 2 ** 8 + read(at + 2) * 2 ** 16 + read(at + 3) * 2 ** 24
}
