import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { resample } from './resample.ts'

const pair = z.tuple([z.int(), z.int()])
const cases = z
  .array(
    z.object({
      from: pair,
      to: pair,
      channels: z.union([z.literal(1), z.literal(3)]),
      filter: z.enum(['nearest', 'bilinear', 'bicubic']),
      sha256: z.string(),
      head: z.array(z.int()),
    }),
  )
  .parse(JSON.parse(readFileSync(join(import.meta.dirname, '../fixtures/imaging/resized.json'), 'utf8')))

/** The same as in make.py; exact, for i * i * 31 stays below 2^53. */
function source(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => Math.floor((i * i * 31 + i * 7) / 8) % 256)
}

describe('resizes as Pillow does, bit for bit', () => {
  for (const { from, to, channels, filter, sha256, head } of cases) {
    it(`${filter}, ${from.join('x')} to ${to.join('x')}, ${channels} channels`, () => {
      const out = resample(source(from[0] * from[1] * channels), ...from, channels, ...to, filter)
      expect([...out.subarray(0, head.length)]).toEqual(head)
      expect(createHash('sha256').update(out).digest('hex')).toBe(sha256)
    })
  }
})

it('gives a copy where the size stays', () => {
  const data = Uint8Array.of(1, 2)
  const out = resample(data, 2, 1, 1, 2, 1, 'bilinear')
  out[0] = 9
  expect(data[0]).toBe(1)
})

it('refuses data that are not of the size said', () => {
  expect(() => resample(new Uint8Array(5), 2, 2, 1, 1, 1, 'nearest')).toThrow(RangeError)
})
