import { expect, it } from 'vitest'
import { modelManifest } from '../manifest.ts'
import { type Changes, manifestOf } from '../testing.ts'
import { readOutput } from './outputs.ts'

const binary = (changes: Changes['output'] = {}) => modelManifest.parse(manifestOf('mean', { output: changes })).output
const multiclass = (changes: Changes['output'] = {}) =>
  modelManifest.parse(manifestOf('classes', { output: changes })).output

it('is positive at the threshold and negative below, with the probability of the label given as confidence', () => {
  expect(readOutput([0.5], binary())).toMatchObject({ label: 'bright', score: 0.5, confidence: 0.5, threshold: 0.5 })
  expect(readOutput([0.2], binary())).toEqual({
    label: 'dark',
    score: 0.2,
    threshold: 0.5,
    confidence: 0.8,
    probabilities: { dark: 0.8, bright: 0.2 },
    quality: [],
  })
  expect(readOutput([0.2], binary({ threshold: 0.1 }))).toMatchObject({ label: 'bright', score: 0.2, confidence: 0.2 })
})

it('flags a score near the threshold', () => {
  const at = (score: number) => readOutput([score], binary({ threshold: 0.3 })).quality
  expect([at(0.24), at(0.26), at(0.3), at(0.34), at(0.36)]).toEqual([
    [],
    ['near-threshold'],
    ['near-threshold'],
    ['near-threshold'],
    [],
  ])
})

it('reads two outputs of a binary model by the place of the positive label', () => {
  const output = binary({ labels: ['sick', 'well'], positive: 'sick', activation: 'softmax' })
  expect(readOutput([Math.log(3), 0], output)).toMatchObject({ label: 'sick', score: expect.closeTo(0.75, 12) })
})

it('applies sigmoid to a single logit', () => {
  expect(readOutput([Math.log(9)], binary({ activation: 'sigmoid' })).score).toBeCloseTo(0.9, 12)
})

it('gives the highest class, the first among equals, and flags one below 0.6', () => {
  expect(readOutput([0.3, 0.35, 0.35], multiclass({ activation: 'none' }))).toMatchObject({
    label: 'green',
    score: 0.35,
    threshold: null,
    confidence: 0.35,
    quality: ['uncertain'],
  })
  expect(readOutput([0.1, 0.1, 0.8], multiclass({ activation: 'none' })).quality).toEqual([])
})

it('keeps the ten likeliest of a thousand labels, the first among equals', () => {
  const labels = Array.from({ length: 1_000 }, (_, i) => `c${i}`)
  const many = { ...multiclass({ activation: 'none' }), labels }
  const ranked = readOutput(
    Float64Array.from(labels, (_, i) => (i === 700 ? 0.5 : i / 1e6)),
    many,
  )
  expect(Object.keys(ranked.probabilities).sort()).toEqual(
    ['c700', ...Array.from({ length: 9 }, (_, i) => `c${991 + i}`)].sort(),
  )
  expect(ranked).toMatchObject({ label: 'c700', score: 0.5 })
  const equal = readOutput(new Float64Array(1_000).fill(0.001), many)
  expect(Object.keys(equal.probabilities)).toEqual(labels.slice(0, 10))
})

it('keeps softmax finite for logits far apart', () => {
  expect(readOutput([1000, -1000, 0], multiclass()).probabilities).toEqual({ red: 1, green: 0, blue: 0 })
})

it('refuses numbers that are not finite, and numbers that are no probabilities', () => {
  expect(() => readOutput([Number.NaN], binary())).toThrow(/output 0 is NaN/)
  expect(() => readOutput([0.1, Number.POSITIVE_INFINITY, 0], multiclass())).toThrow(/output 1 is Infinity/)
  expect(() => readOutput([7.5], binary())).toThrow(/7.5 is not a probability/)
  expect(readOutput([1.0004], binary()).score).toBe(1)
})
