import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { decodeFrame } from './decode.ts'
import { toDisplay, toModality } from './display.ts'
import type { DecodedFrame } from './types.ts'

const folder = join(import.meta.dirname, '../fixtures/imaging')
const shown = z
  .record(z.string(), z.object({ note: z.string(), data: z.base64() }))
  .parse(JSON.parse(readFileSync(join(folder, 'shown.json'), 'utf8')))

const plain: Omit<DecodedFrame, 'rows' | 'columns' | 'samples'> = {
  channels: 1,
  bitsStored: 16,
  inverted: false,
  modality: { slope: 1, intercept: 0 },
  windows: [],
  voiLut: null,
  padding: null,
}
const row = (samples: DecodedFrame['samples'], more: Partial<DecodedFrame> = {}): DecodedFrame => ({
  ...plain,
  rows: 1,
  columns: samples.length,
  samples,
  ...more,
})

/** Windows by pydicom; tables, ramps and padding reckoned with numpy as the standard says. DCMTK is asked in display.slow.test.ts. */
describe('what a person sees is what Python reckons, to one grey level', () => {
  for (const [name, { note, data }] of Object.entries(shown)) {
    it(`${name}: ${note}`, async () => {
      const got = toDisplay(await decodeFrame(readFileSync(join(folder, name))))
      const want = Buffer.from(data, 'base64')
      expect(got.data.length).toBe(want.length)
      expect(Math.max(...got.data.map((grey, i) => Math.abs(grey - (want[i] ?? 0))))).toBeLessThanOrEqual(1)
    })
  }
})

it('follows the worked LINEAR example of PS3.3 C.11.2.1.2.1: centre 2048, width 4096', () => {
  const frame = row(Uint16Array.of(0, 1, 2047, 2048, 4095, 5000))
  expect([...toDisplay(frame, { center: 2048, width: 4096 }).data]).toEqual([0, 0, 127, 128, 255, 255])
})

it('thresholds with LINEAR of width 1: up to centre - 0.5 is black, above is white', () => {
  const frame = row(Int16Array.of(-1, 99, 100, 101))
  expect([...toDisplay(frame, { center: 100, width: 1 }).data]).toEqual([0, 0, 255, 255])
})

it('gives the same picture from a table and pixel by pixel', () => {
  const values = Int16Array.from({ length: 70_000 }, (_, i) => ((i * 7919) % 65_536) - 32_768)
  const more = { modality: { slope: 0.37, intercept: -11 }, padding: { low: -20, high: 20 }, inverted: true }
  const table = toDisplay(row(values, more), { center: 50, width: 3000 }).data
  const single = toDisplay(row(values.slice(0, 1000), more), { center: 50, width: 3000 }).data
  expect(Buffer.from(table.subarray(0, 1000)).equals(Buffer.from(single))).toBe(true)
})

it('keeps padding out of the range and shows it black, also inverted', () => {
  const more = { padding: { low: -3000, high: -2000 } }
  expect([...toDisplay(row(Int16Array.of(-2500, 0, 100), more)).data]).toEqual([0, 0, 255])
  expect([...toDisplay(row(Int16Array.of(-2500, 0, 100), { ...more, inverted: true })).data]).toEqual([0, 255, 0])
})

it('orders the range where the slope is negative', () => {
  const more = { modality: { slope: -1, intercept: 0 } }
  expect([...toDisplay(row(Uint16Array.of(0, 50, 100), more)).data]).toEqual([255, 128, 0])
})

it('gives black where all values are the same, and where values are no numbers', () => {
  expect([...toDisplay(row(Uint16Array.of(7, 7))).data]).toEqual([0, 0])
  expect([...toDisplay(row(Float32Array.of(Number.NaN, 1, 3))).data]).toEqual([0, 0, 255])
  expect([...toDisplay(row(Float32Array.of(Number.NaN, Number.NaN))).data]).toEqual([0, 0])
})

it('scales colours of 16 bits to 8', () => {
  const frame = row(Uint16Array.of(0, 32_896, 65_535), { channels: 3, columns: 1 })
  expect(toDisplay(frame)).toEqual({ width: 1, height: 1, channels: 3, data: Uint8Array.of(0, 128, 255) })
})

it('gives modality values by slope and intercept or by table', () => {
  expect([...toModality(row(Int16Array.of(-1, 2), { modality: { slope: 2, intercept: -1024 } }))]).toEqual([
    -1026, -1020,
  ])
  const lut = { first: 10, bits: 16, entries: Uint16Array.of(5, 6, 7) }
  expect([...toModality(row(Int16Array.of(0, 11, 99), { modality: { lut } }))]).toEqual([5, 6, 7])
})
