import { describe, expect, it } from 'vitest'
import { seeded } from '../producers/simulator/random.ts'
import { type Pair, pairedDifference } from './paired.ts'
import { quantile } from './table.ts'

/** Of so many turns, each with a noise of its own that both of it have. */
function turns(count: number, costMs: number, random = seeded(1)): Pair[] {
  return Array.from({ length: count }, () => {
    const drift = 20 * random()
    const some = (ms: number) => Array.from({ length: 50 }, () => 5 + drift + ms + random())
    return { without: some(0), beside: some(costMs) }
  })
}

describe('a paired difference', () => {
  it('finds what something costs under a noise that is larger', () => {
    const { difference, from, to } = pairedDifference(turns(40, 3), 0.99, seeded(2))
    expect(difference).toBeCloseTo(3, 0)
    expect(from).toBeGreaterThan(2)
    expect(to).toBeLessThan(4)
  })

  it('is of all that was measured, as one', () => {
    const pairs = turns(7, 2)
    const all = (side: keyof Pair) =>
      quantile(
        pairs.flatMap(pair => pair[side]),
        0.9,
      )
    expect(pairedDifference(pairs, 0.9, seeded(5)).difference).toBe(all('beside') - all('without'))
  })

  it('is nothing, within its interval, where nothing is the cause', () => {
    const { from, to } = pairedDifference(turns(40, 0), 0.5, seeded(3))
    expect(from).toBeLessThanOrEqual(0)
    expect(to).toBeGreaterThanOrEqual(0)
  })

  it('is less sure of fewer turns, and takes the figures of one turn together', () => {
    // Late by 10 ms, all of a turn, in one of ten beside and in none without.
    const late = (count: number): Pair[] =>
      turns(count, 0).map((pair, n) => (n % 10 === 0 ? { ...pair, beside: pair.beside.map(ms => ms + 10) } : pair))
    const width = (count: number) => {
      const { from, to } = pairedDifference(late(count), 0.5, seeded(4))
      return to - from
    }
    expect(width(10)).toBeGreaterThan(1.5 * width(90))
  })
})
