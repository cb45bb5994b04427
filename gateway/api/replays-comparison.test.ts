import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { aPrediction } from '../../tests/gateway/samples.ts'
import { Comparing } from './replays-comparison.ts'
import { csvOf } from './replays-csv.ts'
import type { Pair, Said } from './replays-pairs.ts'

const binary = (score: number, threshold = 0.5): Said => ({
  id: `pr_${score}`,
  label: score >= threshold ? 'pneumonia' : 'normal',
  score,
  threshold,
  probabilities: { pneumonia: score, normal: 1 - score },
  version: '1',
})

const pairOf = (n: number, production: Said, candidate: Said, more: Partial<Pair> = {}): Pair => ({
  instance: `in_${n}`,
  study: 'st_1',
  site: 'main',
  modality: 'DX',
  production,
  candidate: { ...candidate, version: '2' },
  truth: null,
  ...more,
})

function compared(...pairs: Pair[]) {
  const comparing = new Comparing()
  for (const pair of pairs) comparing.add(pair)
  return { ...comparing.result(), images: comparing.flips }
}

it('counts agreement and flips in both directions, with the images behind them', () => {
  const found = compared(
    pairOf(1, binary(0.9), binary(0.8)),
    pairOf(2, binary(0.1), binary(0.6)),
    pairOf(3, binary(0.7), binary(0.4), { site: 'north', modality: null }),
    pairOf(4, binary(0.2), binary(0.3)),
  )
  expect(found.agreement).toMatchObject({ value: 0.5, n: 4 })
  expect(found.flips).toEqual({ toPositive: 1, toNegative: 1, other: 0, kept: 2 })
  expect(found.images.map(({ instance, direction }) => [instance, direction])).toEqual([
    ['in_2', 'to-positive'],
    ['in_3', 'to-negative'],
  ])
  expect(found.labels).toEqual(['normal', 'pneumonia'])
  expect(found.matrix).toEqual([
    [1, 1],
    [1, 1],
  ])
  expect(found.positive).toBe('pneumonia')
  expect(found.shift?.value).toBeCloseTo((-0.1 + 0.5 - 0.3 + 0.1) / 4)
  expect(found.bySite.map(({ name, pairs }) => [name, pairs])).toEqual([
    ['main', 3],
    ['north', 1],
  ])
  expect(found.byModality).toMatchObject([{ name: 'DX' }, { name: '', toNegative: 1 }])
  expect(found.truth).toBeNull()
})

it('sees a flip where the score is the same and the threshold is not', () => {
  const { flips, shift } = compared(pairOf(1, binary(0.6), binary(0.6, 0.8)))
  expect(flips).toMatchObject({ toNegative: 1 })
  expect(shift?.value).toBe(0)
})

it('of many classes knows no direction, and shifts by what both give to the label of production', () => {
  const said = (label: string, probabilities: Record<string, number>): Said => ({
    ...{ id: label, label, probabilities, version: '1', threshold: null },
    score: probabilities[label] ?? 0,
  })
  const found = compared(pairOf(1, said('4', { 4: 0.7, 9: 0.3 }), said('9', { 4: 0.2, 9: 0.8 })))
  expect(found.flips).toMatchObject({ toPositive: 0, toNegative: 0, other: 1 })
  expect(found.shift?.value).toBeCloseTo(-0.5)
  expect(found.positive).toBeNull()
})

it('judges both against what people said, as scikit-learn counts it', () => {
  const fixture = z
    .object({
      curves: z.array(
        z.object({
          truths: z.array(z.boolean()),
          production: z.array(z.number()),
          candidate: z.array(z.number()),
          areas: z.array(z.number()),
          confusion: z.array(z.object({ tn: z.int(), fp: z.int(), fn: z.int(), tp: z.int() })),
        }),
      ),
    })
    .parse(JSON.parse(readFileSync(new URL('../fixtures/statistics.json', import.meta.url), 'utf8')))
  for (const { truths, production, candidate, areas, confusion } of fixture.curves) {
    const { truth } = compared(
      ...truths.map((is, n) =>
        pairOf(n, binary(production[n] ?? 0), binary(candidate[n] ?? 0), { truth: is ? 'pneumonia' : 'normal' }),
      ),
    )
    for (const [at, who] of (['production', 'candidate'] as const).entries()) {
      const { tn = 0, fp = 0, fn = 0, tp = 0 } = confusion[at] ?? {}
      expect(truth?.[who].sensitivity?.value).toBe(tp / (tp + fn))
      expect(truth?.[who].specificity?.value).toBe(tn / (tn + fp))
      expect(truth?.[who].accuracy?.value).toBe((tp + tn) / truths.length)
      expect(truth?.[who].auc?.value).toBeCloseTo(areas[at] ?? 0, 12)
    }
  }
})

it('gives forty groups at most a row each, the rest one together, and loses none', () => {
  const { bySite } = compared(
    ...Array.from({ length: 60 }, (_, n) => pairOf(n, binary(0.9), binary(0.9), { site: `site${n}` })),
  )
  expect(bySite.length).toBeLessThanOrEqual(41)
  expect(bySite.reduce((sum, { pairs }) => sum + pairs, 0)).toBe(60)
})

it('writes CSV that a spreadsheet does not take for formulas', async () => {
  const candidate = aPrediction(1, { modality: '=HYPERLINK("x")', role: 'replay', replay: 'rr_1' })
  async function* pairs() {
    yield { candidate, pair: pairOf(1, binary(0.9), binary(0.1)) }
    yield { candidate, pair: undefined }
  }
  const lines: string[] = []
  for await (const line of csvOf(pairs())) lines.push(line)
  expect(lines[1]).toContain(`"'=HYPERLINK(""x"")",1,pneumonia,0.9,1.0.0,`)
  expect(lines[1]).toMatch(/,to-negative,\r\n$/)
  expect(lines[2]).toMatch(/,,,,1\.0\.0,normal,0\.25,,\r\n$/)
})
