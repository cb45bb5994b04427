import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { noCounts } from '../../schemas/replay.ts'
import { type Outcome, Tally } from './tally.ts'

const ranges = [
  { partition: 0, from: 10, to: 14 },
  { partition: 1, from: 0, to: 0 },
]

describe('a tally', () => {
  it('passes, and counts, only what is done below the offset', () => {
    const tally = new Tally(ranges)
    const done = [10, 11, 12].map(offset => tally.begin(0, offset))
    done[1]?.('predicted')
    done[2]?.('failed', 'decode-failed')
    expect(tally.snapshot()).toMatchObject({ next: [{ offset: 10 }, { offset: 0 }], counts: noCounts, codes: {} })
    done[0]?.('gone', 'object-missing')
    expect(tally.snapshot()).toEqual({
      next: [
        { partition: 0, offset: 13 },
        { partition: 1, offset: 0 },
      ],
      counts: { ...noCounts, read: 3, predicted: 1, failed: 1, gone: 1 },
      codes: { 'decode-failed': 1, 'object-missing': 1 },
    })
    expect(tally.left()).toEqual([{ partition: 0, next: 13, to: 14 }])
  })

  it('ends a partition whose last records are not there any more, after what is under way', () => {
    const tally = new Tally(ranges)
    const done = tally.begin(0, 10)
    tally.close(0)
    expect(tally.left()).toHaveLength(1)
    done('predicted')
    expect(tally.left()).toEqual([])
    expect(tally.snapshot().counts).toEqual({ ...noCounts, read: 1, predicted: 1 })
  })

  it('counts every event once, however often it is ended and goes on from what was kept', () => {
    const outcomes: Outcome[] = ['predicted', 'refused', 'outside', 'gone']
    fc.assert(
      fc.property(fc.infiniteStream(fc.nat(1_000)), fc.integer({ min: 1, max: 60 }), (chance, events) => {
        const all = [{ partition: 0, from: 0, to: events }]
        let kept: ReturnType<Tally['snapshot']> | undefined
        const draw = (below: number) => Number(chance.next().value) % below
        for (let life = 0; life < 1_000; life++) {
          const tally = new Tally(all, kept)
          const [part] = tally.left()
          if (!part) break
          const settle = Array.from({ length: part.to - part.next }, (_, at) => tally.begin(0, part.next + at))
          const reached = 1 + draw(settle.length)
          for (let n = 0; n < reached; n++) {
            const [one] = settle.splice(draw(settle.length), 1)
            one?.(outcomes[draw(outcomes.length)] ?? 'predicted')
            if (draw(3) === 0) kept = tally.snapshot()
          }
          if (draw(2) === 0) kept = tally.snapshot()
        }
        const { counts } = kept ?? new Tally(all).snapshot()
        const sum = counts.predicted + counts.refused + counts.outside + counts.gone
        expect(sum).toBe(counts.read)
        expect(counts.read).toBe(kept?.next[0]?.offset ?? 0)
      }),
      { numRuns: 100 },
    )
  })
})
