import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import wabt from 'wabt'
import { resample } from '../resample.ts'

const read = (name: string) => readFileSync(join(import.meta.dirname, name))

it('is made of the text beside it (npm run wasm)', async () => {
  const { parseWat } = await wabt()
  const { buffer } = parseWat('pixels.wat', String(read('pixels.wat'))).toBinary({})
  expect(read('pixels.wasm').equals(buffer)).toBe(true)
})

describe('grey pictures come out as colours do, which take the other way', () => {
  // Widths that are and are not whole reads and lanes; to less, to a little less, and to more, where few taps are had too.
  const sizes = [
    [512, 512, 224, 224],
    [513, 300, 227, 131],
    [28, 28, 28, 20],
    [5, 5, 3, 3],
    [6, 7, 5, 4],
    [33, 64, 17, 31],
    [50, 50, 64, 64],
    [64, 50, 300, 299],
    [1000, 1023, 512, 448],
    [1111, 333, 500, 301],
  ] as const
  for (const filter of ['bilinear', 'bicubic'] as const)
    it.each(sizes)(`${filter}, %i x %i to %i x %i`, (width, height, toWidth, toHeight) => {
      for (const shade of [(i: number) => (i * i * 31 + i * 7) >> 3, () => 255, (i: number) => (i % 3 ? 255 : 0)]) {
        const grey = Uint8Array.from({ length: width * height }, (_, i) => shade(i))
        const colour = Uint8Array.from({ length: grey.length * 3 }, (_, i) => grey[Math.floor(i / 3)] ?? 0)
        const one = resample(grey, width, height, 1, toWidth, toHeight, filter)
        const three = resample(colour, width, height, 3, toWidth, toHeight, filter)
        expect(
          Buffer.compare(
            one,
            three.filter((_, i) => i % 3 === 0),
          ),
        ).toBe(0)
      }
    })
})
