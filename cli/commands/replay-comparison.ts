/** The comparison of a replay for the terminal. */
import { z } from 'zod'
import { table } from '../table.ts'

const interval = z.object({ value: z.number(), low: z.number(), high: z.number() }).nullable()
const judged = z.object({ auc: interval, sensitivity: interval, specificity: interval, accuracy: interval })
const group = z.object({
  name: z.string(),
  pairs: z.int(),
  agreement: interval,
  toPositive: z.int(),
  toNegative: z.int(),
  other: z.int(),
  shift: interval,
})
const comparison = z.object({
  model: z.object({ name: z.string(), version: z.string() }),
  complete: z.boolean(),
  pairs: z.int(),
  unpaired: z.int(),
  versions: z.record(z.string(), z.int()),
  positive: z.string().nullable(),
  labels: z.array(z.string()),
  matrix: z.array(z.array(z.int())),
  agreement: interval,
  flips: z.object({ toPositive: z.int(), toNegative: z.int(), other: z.int() }),
  shift: interval,
  byClass: z.array(group),
  bySite: z.array(group),
  byModality: z.array(group),
  truth: z.object({ labelled: z.int(), production: judged, candidate: judged, aucDifference: interval }).nullable(),
})
type Interval = z.infer<typeof interval>

const percent = (of: Interval) =>
  of ? `${(of.value * 100).toFixed(1)} % (${(of.low * 100).toFixed(1)} to ${(of.high * 100).toFixed(1)})` : '-'
const plain = (of: Interval) => (of ? `${of.value.toFixed(3)} (${of.low.toFixed(3)} to ${of.high.toFixed(3)})` : '-')

/** @param said the JSON of GET /api/v1/replays/:id/comparison */
export function printComparison(said: unknown): string {
  const of = comparison.parse(said)
  const { model, versions, flips, truth, positive } = of
  const production = Object.keys(versions).map(version => `${model.name}@${version}`)
  const rows = [
    ['beside', production.join(', ') || 'nothing: production said nothing of these images'],
    ['images', `${of.pairs}${of.unpaired > 0 ? `, and ${of.unpaired} of which production said nothing` : ''}`],
    ['agreement', percent(of.agreement)],
    ...(positive === null
      ? [['flips', String(flips.other)]]
      : [
          [`flips to ${positive}`, String(flips.toPositive)],
          ['flips back', String(flips.toNegative)],
        ]),
    ['score shift', plain(of.shift)],
  ]
  const parts = [
    `${model.name}@${model.version}${of.complete ? '' : ' (so far: not all is in yet)'}`,
    table(rows),
    ...(of.labels.length <= 12 ? [matrixOf(of)] : []),
    ...groupsOf('by class', of.byClass),
    ...groupsOf('by site', of.bySite),
    ...groupsOf('by modality', of.byModality),
    ...(truth ? [truthOf(truth)] : []),
  ]
  return parts.join('\n\n')
}

function matrixOf({ labels, matrix }: z.infer<typeof comparison>): string {
  const rows = labels.map((label, row) => [label, ...(matrix[row] ?? []).map(String)])
  return table(rows, ['PRODUCTION \\ CANDIDATE', ...labels])
}

/** A single group says what the whole says. */
function groupsOf(what: string, groups: readonly z.infer<typeof group>[]): string[] {
  if (groups.length < 2) return []
  const rows = groups.map(({ name, pairs, agreement, toPositive, toNegative, other, shift }) => [
    name || '(none)',
    String(pairs),
    percent(agreement),
    String(toPositive + toNegative + other),
    plain(shift),
  ])
  return [table(rows, [what.toUpperCase(), 'IMAGES', 'AGREEMENT', 'FLIPS', 'SHIFT'])]
}

function truthOf({ labelled, production, candidate, aucDifference }: NonNullable<z.infer<typeof comparison>['truth']>) {
  const rows = [
    ['AUC', plain(production.auc), plain(candidate.auc)],
    ['sensitivity', percent(production.sensitivity), percent(candidate.sensitivity)],
    ['specificity', percent(production.specificity), percent(candidate.specificity)],
    ['accuracy', percent(production.accuracy), percent(candidate.accuracy)],
    ['AUC difference', '', plain(aucDifference)],
  ]
  return table(rows, [`${labelled} LABELLED`, 'PRODUCTION', 'CANDIDATE'])
}
