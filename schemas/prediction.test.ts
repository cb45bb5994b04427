import { expect, it } from 'vitest'
import { frameLookedAt, scoredLabel } from './prediction.ts'

it('the score is of a label that a negative result does not carry', () => {
  const binary = { threshold: 0.5, probabilities: { well: 0.8, sick: 0.2 } }
  expect(scoredLabel({ ...binary, label: 'well', score: 0.2 })).toBe('sick')
  expect(scoredLabel({ threshold: null, label: '7', score: 0.9, probabilities: { '7': 0.9, '1': 0.1 } })).toBe('7')
  expect(scoredLabel({ threshold: 0.5, label: 'odd', score: 0.3, probabilities: {} })).toBe('odd')
  expect(scoredLabel({ threshold: 0.5, label: 'sick', score: 0.3, probabilities: { sick: 0.3 } })).toBe('sick')
})

it('of two labels of one probability the score is of the one that was looked for, in whatever order they stand', () => {
  for (const probabilities of [
    { well: 0.5, sick: 0.5 },
    { sick: 0.5, well: 0.5 },
  ]) {
    expect(scoredLabel({ threshold: 0.5, label: 'sick', score: 0.5, probabilities })).toBe('sick')
    expect(scoredLabel({ threshold: 0.6, label: 'well', score: 0.5, probabilities })).toBe('sick')
    expect(scoredLabel({ threshold: null, label: 'well', score: 0.5, probabilities })).toBe('well')
  }
})

it.each([
  [0, 1],
  [1, 1],
  [2, 1],
  [3, 2],
  [30, 15],
])('of %i frames the model looks at number %i', (frames, looked) => {
  expect(frameLookedAt(frames)).toBe(looked)
})
