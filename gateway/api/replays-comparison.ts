/** A candidate beside production: one pass over the pairs, in memory that does not grow with them but for the flips. */
import { type Direction, directionOf, isPositive, type Pair, positiveLabel, scoresOf } from './replays-pairs.ts'
import { addTo, type Histogram, type Interval, Mean, rocs, share } from './replays-statistics.ts'

/** Flips that are kept to be shown; all are counted. */
const flipsKept = 20_000
/** Labels, sites, modalities that get a row of their own; the rest share one. */
const mostRows = 40
const others = '(others)'

export interface Flip {
  instance: string
  study: string
  site: string
  modality: string | null
  direction: Direction
  production: { label: string; score: number }
  candidate: { label: string; score: number }
  truth: string | null
}

export interface Group {
  name: string
  pairs: number
  agreement: Interval | null
  toPositive: number
  toNegative: number
  other: number
  shift: Interval | null
}

export interface Judged {
  auc: Interval | null
  sensitivity: Interval | null
  specificity: Interval | null
  accuracy: Interval | null
}

export interface Comparison {
  pairs: number
  /** Images of which production said nothing. */
  unpaired: number
  /** What production ran: images by version. */
  versions: Record<string, number>
  positive: string | null
  labels: string[]
  /** Images by what production said (row) and what the candidate says (column), in the order of `labels`. */
  matrix: number[][]
  agreement: Interval | null
  flips: { toPositive: number; toNegative: number; other: number; kept: number }
  /** Candidate's score less production's. */
  shift: Interval | null
  shifts: Histogram
  scores: { production: Histogram; candidate: Histogram }
  byClass: Group[]
  bySite: Group[]
  byModality: Group[]
  /** Against what people said; null where nobody did. */
  truth: {
    labelled: number
    positives: number | null
    production: Judged
    candidate: Judged
    aucDifference: Interval | null
  } | null
}

class Tallied {
  #pairs = 0
  #agreed = 0
  readonly #flips = { toPositive: 0, toNegative: 0, other: 0 }
  readonly #shift = new Mean()

  add(direction: Direction | null, shift: number): void {
    this.#pairs += 1
    if (direction === null) this.#agreed += 1
    else this.#flips[keyOf(direction)] += 1
    this.#shift.add(shift)
  }

  result(): Omit<Group, 'name'> {
    const [pairs, agreement] = [this.#pairs, share(this.#agreed, this.#pairs)]
    return { pairs, agreement, ...this.#flips, shift: this.#shift.interval() }
  }
}

const keyOf = (direction: Direction) =>
  direction === 'to-positive' ? 'toPositive' : direction === 'to-negative' ? 'toNegative' : 'other'

const histogram = (from: number, to: number, bins: number): Histogram => ({
  ...{ from, to },
  counts: new Array<number>(bins).fill(0),
})

type By = Map<string, Tallied>

export class Comparing {
  readonly flips: Flip[] = []
  readonly #all = new Tallied()
  readonly #by: Record<'byClass' | 'bySite' | 'byModality', By> = {
    byClass: new Map(),
    bySite: new Map(),
    byModality: new Map(),
  }
  readonly #versions: Record<string, number> = {}
  readonly #cells = new Map<string, Map<string, number>>()
  readonly #shifts = histogram(-1, 1, 41)
  readonly #scores = { production: histogram(0, 1, 20), candidate: histogram(0, 1, 20) }
  readonly #judged: Pair[] = []
  #positive: string | null = null
  #unpaired = 0

  skip(): void {
    this.#unpaired += 1
  }

  add(pair: Pair): void {
    const direction = directionOf(pair)
    const scores = scoresOf(pair)
    const shift = scores.candidate - scores.production
    this.#all.add(direction, shift)
    this.#group(this.#by.byClass, pair.production.label).add(direction, shift)
    this.#group(this.#by.bySite, pair.site).add(direction, shift)
    this.#group(this.#by.byModality, pair.modality ?? '').add(direction, shift)
    addTo(this.#shifts, shift)
    addTo(this.#scores.production, scores.production)
    addTo(this.#scores.candidate, scores.candidate)
    this.#versions[pair.production.version] = (this.#versions[pair.production.version] ?? 0) + 1
    this.#positive ??= positiveLabel(pair.candidate) ?? null
    const row = this.#cells.get(pair.production.label) ?? new Map<string, number>()
    this.#cells.set(pair.production.label, row.set(pair.candidate.label, (row.get(pair.candidate.label) ?? 0) + 1))
    if (pair.truth !== null) this.#judged.push(pair)
    if (direction !== null && this.flips.length < flipsKept) this.flips.push(flipOf(pair, direction))
  }

  result(): Comparison {
    const { pairs, agreement, shift, ...flips } = this.#all.result()
    const labels = [...new Set([...this.#cells].flatMap(([label, row]) => [label, ...row.keys()]))].sort()
    return {
      ...{ pairs, unpaired: this.#unpaired, versions: this.#versions, positive: this.#positive, labels },
      matrix: labels.map(row => labels.map(column => this.#cells.get(row)?.get(column) ?? 0)),
      agreement,
      flips: { ...flips, kept: this.flips.length },
      ...{ shift, shifts: this.#shifts, scores: this.#scores },
      byClass: groups(this.#by.byClass),
      bySite: groups(this.#by.bySite),
      byModality: groups(this.#by.byModality),
      truth: this.#judged.length > 0 ? judge(this.#judged, this.#positive) : null,
    }
  }

  #group(by: By, name: string): Tallied {
    const key = by.has(name) || by.size < mostRows ? name : others
    const group = by.get(key) ?? new Tallied()
    by.set(key, group)
    return group
  }
}

const groups = (by: By): Group[] =>
  [...by].map(([name, group]) => ({ name, ...group.result() })).sort((a, b) => b.pairs - a.pairs)

function flipOf({ instance, study, site, modality, production, candidate, truth }: Pair, direction: Direction): Flip {
  const brief = ({ label, score }: Pair['production']) => ({ label, score })
  return {
    instance,
    study,
    site,
    modality,
    direction,
    production: brief(production),
    candidate: brief(candidate),
    truth,
  }
}

/** Both against what people said. Sensitivity and specificity only where there are two classes. */
function judge(pairs: readonly Pair[], positive: string | null): NonNullable<Comparison['truth']> {
  const truths = pairs.map(({ truth }) => truth === positive)
  const curves =
    positive === null
      ? null
      : rocs(
          truths,
          pairs.map(({ production }) => production.score),
          pairs.map(({ candidate }) => candidate.score),
        )
  const one = (who: 'production' | 'candidate'): Judged => {
    const right = pairs.filter(pair => pair[who].label === pair.truth).length
    const of = (wanted: boolean) => {
      const those = pairs.filter((_, at) => truths[at] === wanted)
      return share(those.filter(pair => isPositive(pair[who]) === wanted).length, those.length)
    }
    return {
      auc: curves?.[who] ?? null,
      sensitivity: positive === null ? null : of(true),
      specificity: positive === null ? null : of(false),
      accuracy: share(right, pairs.length),
    }
  }
  return {
    labelled: pairs.length,
    positives: positive === null ? null : truths.filter(Boolean).length,
    production: one('production'),
    candidate: one('candidate'),
    aucDifference: curves?.difference ?? null,
  }
}
