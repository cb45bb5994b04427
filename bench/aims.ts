/** What a benchmark is to reach, and a sentence that says whether it did. */
import type { Row } from './table.ts'

export interface Aim {
  /** What the names of its rows begin with; all of them where there is none. */
  rows?: string
  figure: string
  least?: number
  most?: number
}

/** Empty where none of the rows has the figure. */
export function verdict(aims: readonly Aim[], rows: readonly Row[]): string {
  return aims
    .flatMap(({ rows: name = '', figure, least = Number.NEGATIVE_INFINITY, most = Number.POSITIVE_INFINITY }) => {
      const aim = Number.isFinite(least) ? `at least ${least}` : `at most ${most}`
      return rows.flatMap(({ what, figures: { [figure]: value } }) => {
        if (typeof value !== 'number' || !what.startsWith(name)) return []
        const met = value >= least && value <= most
        return [`The aim, ${figure} ${aim}, is ${met ? 'met' : '**not met**'} by ${what}: ${value}.`]
      })
    })
    .join(' ')
}
