/** Held against numpy and Pillow: models/fixtures/prepare.py wrote what is expected. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { DecodedFrame } from '../imaging/types.ts'
import { modelManifest } from '../manifest.ts'
import { createPreparer } from './prepare.ts'
import { fromHalf, makeTables, makeTensorData, shapeOf, toHalf, writeTensor } from './tensor.ts'

const fixture = z.object({
  cases: z.array(
    z.object({
      name: z.string(),
      width: z.int(),
      height: z.int(),
      channels: z.union([z.literal(1), z.literal(3)]),
      input: modelManifest.shape.input,
      sha256: z.string(),
      first: z.array(z.number()),
    }),
  ),
})
const { cases } = fixture.parse(JSON.parse(readFileSync(join(import.meta.dirname, '../fixtures/prepare.json'), 'utf8')))

/** Sample i is ((i * i * 31 + i * 17) >> 3) & 255, as in prepare.py. */
function picture(rows: number, columns: number, channels: 1 | 3): DecodedFrame {
  const samples = Uint8Array.from({ length: rows * columns * channels }, (_, i) => ((i * i * 31 + i * 17) >> 3) & 255)
  return {
    rows,
    columns,
    channels,
    samples,
    bitsStored: 8,
    inverted: false,
    modality: { slope: 1, intercept: 0 },
    // The whole range as it is: display value = stored value.
    windows: [{ center: 127.5, width: 255, shape: 'linear-exact' }],
    voiLut: null,
    padding: null,
  }
}

describe('a prepared input equals what numpy and Pillow make of it', () => {
  it.each(cases)('$name', ({ width, height, channels, input, sha256, first }) => {
    const preparer = createPreparer(input)
    const data = makeTensorData(input, 3)
    preparer.into(picture(height, width, channels), data, 1)
    const one = data.slice(preparer.elements, 2 * preparer.elements)
    const numbers = Array.from(one.subarray(0, 8), value => (input.type === 'float16' ? fromHalf(value) : value))
    expect(numbers).toEqual(first)
    expect(createHash('sha256').update(one).digest('hex')).toBe(sha256)
    expect(shapeOf(input, 1).reduce((product, size) => product * size)).toBe(preparer.elements)
    const others = [...data.subarray(0, preparer.elements), ...data.subarray(2 * preparer.elements)]
    expect(others.every(value => value === 0)).toBe(true)
  })
})

it('writes every pixel of a grey picture, however many there are and wherever they stand in memory', () => {
  const [known] = cases
  if (!known) throw new Error('there are no cases')
  for (const [width, skip] of [
    [5, 0],
    [5, 1],
    [8, 2],
    [1, 0],
  ] as const) {
    const input = { ...known.input, type: 'float32', layout: 'NCHW', channels: 'rgb', width, height: 3 } as const
    const tables = makeTables(input)
    const data = Uint8Array.from({ length: skip + width * 3 }, (_, i) => 11 + 7 * i).subarray(skip)
    const target = makeTensorData(input, 1)
    writeTensor({ width, height: 3, channels: 1, data }, input, tables, target, 0)
    expect([...target]).toEqual(tables.flatMap(table => [...data].map(value => table[value])))
  }
})

describe('binary16', () => {
  it('keeps every number that it can hold', () => {
    for (let bits = 0; bits < 0x10000; bits += 1) {
      const value = fromHalf(bits)
      if (!Number.isNaN(value) && toHalf(value) !== bits) expect.fail(`bits ${bits}`)
    }
  })

  it('rounds to the nearest, ties to even, and overflows to infinity', () => {
    expect(fromHalf(toHalf(1 + 2 ** -11))).toBe(1)
    expect(fromHalf(toHalf(1 + 3 * 2 ** -11))).toBe(1 + 2 ** -9)
    expect(fromHalf(toHalf(65519))).toBe(65504)
    expect(fromHalf(toHalf(65520))).toBe(Number.POSITIVE_INFINITY)
    expect(fromHalf(toHalf(2 ** -25))).toBe(0)
    expect(fromHalf(toHalf(-(2 ** -24)))).toBe(-(2 ** -24))
    expect(fromHalf(toHalf(Number.NaN))).toBeNaN()
  })
})
