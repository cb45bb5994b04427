/** The figures of a comparison. Pure; held to SciPy and scikit-learn by gateway/fixtures/statistics.json. */

export interface Interval {
  value: number
  /** 95 % confidence. */
  low: number
  high: number
  /** What it rests on. */
  n: number
}

/** The 0.975 quantile of the standard normal distribution. */
const z = 1.959963984540054

/** A share with Wilson's score interval (Wilson 1927), which stays within 0..1 and holds for few and for extreme shares. */
export function share(hits: number, n: number): Interval | null {
  if (n === 0) return null
  const value = hits / n
  const middle = (value + z ** 2 / (2 * n)) / (1 + z ** 2 / n)
  const half = (z / (1 + z ** 2 / n)) * Math.sqrt((value * (1 - value)) / n + z ** 2 / (4 * n ** 2))
  return { value, low: hits === 0 ? 0 : middle - half, high: hits === n ? 1 : middle + half, n }
}

/** Mean and variance of what is added, one at a time (Welford 1962). */
export class Mean {
  #n = 0
  #mean = 0
  #squares = 0

  add(value: number): void {
    this.#n += 1
    const off = value - this.#mean
    this.#mean += off / this.#n
    this.#squares += off * (value - this.#mean)
  }

  /** The mean with a normal interval from its standard error; of one value alone the interval is the value. */
  interval(): Interval | null {
    if (this.#n === 0) return null
    const half = z * Math.sqrt(this.variance() / this.#n)
    return { value: this.#mean, low: this.#mean - half, high: this.#mean + half, n: this.#n }
  }

  /** Of the sample (divided by n - 1). */
  variance(): number {
    return this.#n > 1 ? this.#squares / (this.#n - 1) : 0
  }
}

export interface Histogram {
  from: number
  to: number
  counts: number[]
}

/** The last bin includes `to`; what is outside goes to the outermost bins. */
export function addTo({ from, to, counts }: Histogram, value: number): void {
  const at = Math.floor(((value - from) / (to - from)) * counts.length)
  const bin = Math.max(0, Math.min(counts.length - 1, at))
  counts[bin] = (counts[bin] ?? 0) + 1
}

export interface Rocs {
  production: Interval
  candidate: Interval
  /** Candidate less production; both judged the same images. */
  difference: Interval
}

/**
 * Areas under both ROC curves, and their difference, with intervals after DeLong, DeLong and Clarke-Pearson (1988), by
 * midranks as in Sun and Xu (2014): O(n log n).
 *
 * @returns null where one class is missing
 */
export function rocs(
  truths: readonly boolean[],
  production: readonly number[],
  candidate: readonly number[],
): Rocs | null {
  const positives = truths.filter(Boolean).length
  const negatives = truths.length - positives
  if (positives === 0 || negatives === 0) return null
  const a = components(truths, production, positives, negatives)
  const b = components(truths, candidate, positives, negatives)
  const covariance = (one: Components, other: Components) =>
    covarianceOf(one.positives, other.positives) / positives + covarianceOf(one.negatives, other.negatives) / negatives
  const interval = (value: number, variance: number, [least, most]: readonly [number, number]): Interval => {
    const half = z * Math.sqrt(Math.max(0, variance))
    return { value, low: Math.max(least, value - half), high: Math.min(most, value + half), n: truths.length }
  }
  const [va, vb] = [covariance(a, a), covariance(b, b)]
  return {
    production: interval(a.area, va, [0, 1]),
    candidate: interval(b.area, vb, [0, 1]),
    difference: interval(b.area - a.area, va + vb - 2 * covariance(a, b), [-1, 1]),
  }
}

interface Components {
  area: number
  /** Of each positive, the share of negatives below it. */
  positives: number[]
  /** Of each negative, the share of positives above it. */
  negatives: number[]
}

function components(truths: readonly boolean[], scores: readonly number[], positives: number, negatives: number) {
  const all = midranks(scores)
  const of = (wanted: boolean) => scores.flatMap((_, at) => (truths[at] === wanted ? [at] : []))
  const own = (indices: readonly number[]) => midranks(indices.map(at => scores[at] ?? 0))
  const [positiveAt, negativeAt] = [of(true), of(false)]
  const [ownPositive, ownNegative] = [own(positiveAt), own(negativeAt)]
  const abovePositive = positiveAt.map((at, i) => ((all[at] ?? 0) - (ownPositive[i] ?? 0)) / negatives)
  const belowNegative = negativeAt.map((at, i) => 1 - ((all[at] ?? 0) - (ownNegative[i] ?? 0)) / positives)
  const area = abovePositive.reduce((sum, value) => sum + value, 0) / positives
  return { area, positives: abovePositive, negatives: belowNegative }
}

/** Ranks from 1; equal values share the middle of theirs. */
function midranks(values: readonly number[]): number[] {
  const order = values.map((value, at) => ({ value, at })).sort((a, b) => a.value - b.value)
  const ranks = new Array<number>(values.length).fill(0)
  for (let from = 0; from < order.length; ) {
    let to = from
    while (to + 1 < order.length && order[to + 1]?.value === order[from]?.value) to += 1
    for (let at = from; at <= to; at += 1) ranks[order[at]?.at ?? 0] = (from + to) / 2 + 1
    from = to + 1
  }
  return ranks
}

function covarianceOf(a: readonly number[], b: readonly number[]): number {
  if (a.length < 2) return 0
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const [ma, mb] = [mean(a), mean(b)]
  return a.reduce((sum, value, at) => sum + (value - ma) * ((b[at] ?? 0) - mb), 0) / (a.length - 1)
}
