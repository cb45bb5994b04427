/** What differs between two things that were measured in turns, and how sure that is. */
import { quantile } from './table.ts'

/** Measured one right after the other, so that whatever else the machine did then met both. */
export interface Pair {
  readonly without: readonly number[]
  readonly beside: readonly number[]
}

export interface Difference {
  /** Quantile of all that was measured beside it, less that of all without it. */
  difference: number
  /** 95 of 100 such runs would come out between these. */
  from: number
  to: number
}

const draws = 2_000

/**
 * The difference of a quantile, with its 95 % interval by the bootstrap over pairs (Efron and Tibshirani 1993, chapter 13.3: percentiles).
 * Pairs are drawn, not single figures: those of one turn are late together.
 *
 * @param random 0 <= x < 1
 */
export function pairedDifference(pairs: readonly Pair[], q: number, random: () => number): Difference {
  const sides = (['without', 'beside'] as const).map(side => pairs.map(pair => Float64Array.from(pair[side])))
  /** Of these pairs, by number. */
  const of = (some: readonly number[]) => {
    const [without = Number.NaN, beside = Number.NaN] = sides.map(side => quantileOf(some, side, q))
    return beside - without
  }
  const drawn = Array.from({ length: draws }, () => of(pairs.map(() => Math.floor(random() * pairs.length))))
  return { difference: of([...pairs.keys()]), from: quantile(drawn, 0.025), to: quantile(drawn, 0.975) }
}

/** As `quantile`, of the parts with these numbers together; without a copy of each, since it is asked thousands of times. */
function quantileOf(some: readonly number[], parts: readonly Float64Array[], q: number): number {
  const chosen = some.flatMap(number => parts[number] ?? [])
  const all = new Float64Array(chosen.reduce((total, part) => total + part.length, 0))
  let at = 0
  for (const part of chosen) {
    all.set(part, at)
    at += part.length
  }
  all.sort()
  return all[Math.min(all.length - 1, Math.floor(q * all.length))] ?? Number.NaN
}
