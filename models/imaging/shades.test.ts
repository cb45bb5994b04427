import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { throughTable } from './shades.ts'

/** Different for neighbours, for the ends, and for a value and its negative. */
const shade = (stored: number): number => ((stored * 37 + Math.floor(stored / 300) * 5) % 251) & 255

const words = (min: number, max: number) =>
  fc.integer({ min: 0, max: 16 }).chain(bits => {
    const within = { min: Math.max(min, -(2 ** bits)), max: Math.min(max, 2 ** bits - 1) }
    return fc.array(fc.integer(within), { maxLength: 64 })
  })

describe('a table gives what each pixel by itself would be', () => {
  it('for signed and unsigned words of any width, of any number, wherever they begin', () => {
    const kinds = fc.oneof(
      words(0, 65_535).map(values => Uint16Array.from(values)),
      words(-32_768, 32_767).map(values => Int16Array.from(values)),
    )
    fc.assert(
      fc.property(kinds, fc.integer({ min: 0, max: 3 }), (samples, skipped) => {
        const some = samples.subarray(skipped)
        expect([...throughTable(some, shade)]).toEqual(Array.from(some, shade))
      }),
      { numRuns: 500 },
    )
  })

  it('for the ends of signed and unsigned words in an image that is large enough for a table of all', () => {
    const values = Array.from({ length: 65_536 }, (_, i) => (i * 7919) % 65_536)
    const unsigned = Uint16Array.from(values)
    const signed = Int16Array.from(values, value => value - 32_768)
    for (const samples of [unsigned, signed])
      expect(Buffer.compare(throughTable(samples, shade), Uint8Array.from(samples, shade))).toBe(0)
  })

  it('for an image that is worked on in parts, whose widest words are not in the first', () => {
    for (const length of [256 * 1024, 256 * 1024 + 1, 600_003]) {
      const unsigned = Uint16Array.from({ length }, (_, i) => (i < length - 1 ? (i * 7919) & 255 : 40_000))
      const signed = Int16Array.from(unsigned, value => value - 20_000)
      for (const samples of [unsigned, signed])
        expect(Buffer.compare(throughTable(samples, shade), Uint8Array.from(samples, shade))).toBe(0)
    }
  })

  it('for bytes, long words and fractions', () => {
    const values = [0, 1, 127, 100, 50]
    for (const samples of [Uint8Array.from(values), Int8Array.from(values), Uint32Array.from(values, v => v * 70_000)])
      expect([...throughTable(samples, shade)]).toEqual(Array.from(samples, shade))
    expect([...throughTable(Float32Array.of(0.25, 0.5), value => value * 100)]).toEqual([25, 50])
  })
})
