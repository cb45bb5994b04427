import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Watermark } from './watermark.ts'

describe('a watermark', () => {
  it('stays below the oldest record that is not done', () => {
    const watermark = new Watermark()
    const done = [10, 11, 15].map(offset => watermark.begin(offset))
    done[1]?.()
    expect(watermark.position).toBeUndefined()
    done[0]?.()
    expect(watermark.position).toBe(12)
    done[2]?.()
    expect(watermark.position).toBe(16)
    expect(watermark.pending).toBe(0)
  })

  it('never passes a record that is not done, in whatever order records finish', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(Array.from({ length: 3_000 }, (_, i) => i)), order => {
        const watermark = new Watermark()
        const finish = Array.from({ length: 3_000 }, (_, offset) => watermark.begin(offset))
        const finished = new Set<number>()
        for (const offset of order) {
          finish[offset]?.()
          finished.add(offset)
        }
        const lowest = Array.from({ length: 3_001 }, (_, i) => i).find(i => !finished.has(i)) ?? 3_000
        expect(watermark.position ?? 0).toBe(lowest)
        expect(watermark.pending).toBe(3_000 - lowest)
      }),
      { numRuns: 30 },
    )
  })
})
