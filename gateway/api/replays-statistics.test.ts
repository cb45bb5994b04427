import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { addTo, Mean, rocs, share } from './replays-statistics.ts'

const confusion = z.object({ tn: z.int(), fp: z.int(), fn: z.int(), tp: z.int() })
const { shares, means, curves } = z
  .object({
    shares: z.array(z.object({ hits: z.int(), n: z.int(), low: z.number(), high: z.number() })),
    means: z.array(z.object({ values: z.array(z.number()), mean: z.number(), low: z.number(), high: z.number() })),
    curves: z.array(
      z.object({
        truths: z.array(z.boolean()),
        production: z.array(z.number()),
        candidate: z.array(z.number()),
        areas: z.tuple([z.number(), z.number()]),
        half: z.tuple([z.number(), z.number()]),
        difference: z.tuple([z.number(), z.number(), z.number()]),
        confusion: z.tuple([confusion, confusion]),
      }),
    ),
  })
  .parse(JSON.parse(readFileSync(new URL('../fixtures/statistics.json', import.meta.url), 'utf8')))

const within = (value: number) => Math.min(1, Math.max(0, value))

describe('the figures are those of SciPy and scikit-learn', () => {
  it.each(shares)('Wilson: $hits of $n', ({ hits, n, low, high }) => {
    const found = share(hits, n)
    expect(found).toMatchObject({ value: hits / n, n })
    expect(found?.low).toBeCloseTo(low, 12)
    expect(found?.high).toBeCloseTo(high, 12)
  })

  it.each(means)('the mean and its interval', ({ values, mean, low, high }) => {
    const sum = new Mean()
    for (const value of values) sum.add(value)
    const found = sum.interval()
    expect(found?.value).toBeCloseTo(mean, 12)
    expect(found?.low).toBeCloseTo(low, 12)
    expect(found?.high).toBeCloseTo(high, 12)
  })

  it.each(curves)('areas under curves, with ties and without', ({ truths, production, candidate, ...expected }) => {
    const found = rocs(truths, production, candidate)
    expect(found?.production.value).toBeCloseTo(expected.areas[0], 12)
    expect(found?.candidate.value).toBeCloseTo(expected.areas[1], 12)
    expect(found?.production.low).toBeCloseTo(within(expected.areas[0] - expected.half[0]), 10)
    expect(found?.candidate.high).toBeCloseTo(within(expected.areas[1] + expected.half[1]), 10)
    expect(found?.difference.value).toBeCloseTo(expected.difference[0], 12)
    expect(found?.difference.low).toBeCloseTo(expected.difference[1], 10)
    expect(found?.difference.high).toBeCloseTo(expected.difference[2], 10)
  })
})

describe('where there is nothing to say', () => {
  it('says nothing of no images, and of one class alone', () => {
    expect(share(0, 0)).toBeNull()
    expect(new Mean().interval()).toBeNull()
    expect(rocs([true, true], [0.1, 0.9], [0.1, 0.9])).toBeNull()
  })

  it('knows no spread of a single value', () => {
    const one = new Mean()
    one.add(0.25)
    expect(one.interval()).toEqual({ value: 0.25, low: 0.25, high: 0.25, n: 1 })
  })
})

it('puts each value into the bin that holds it, the ends included', () => {
  const histogram = { from: -1, to: 1, counts: [0, 0, 0, 0] }
  for (const value of [-1, -0.51, -0.5, 0, 0.49, 0.5, 1, 7]) addTo(histogram, value)
  expect(histogram.counts).toEqual([2, 1, 2, 3])
})
