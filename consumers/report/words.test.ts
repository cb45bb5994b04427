import { describe, expect, it } from 'vitest'
import { aPrediction } from '../../tests/gateway/samples.ts'
import { apart, date, duration, personName, printable, resultSentence, scoredLabel, time } from './words.ts'

describe('the words of a report', () => {
  it('say on which side of the threshold the score is, with decimals enough to see it', () => {
    const near = aPrediction(1, {
      score: 0.36914,
      threshold: 0.36921,
      probabilities: { sick: 0.36914, well: 0.63086 },
      label: 'well',
    })
    expect(resultSentence(near)).toBe('The score for "sick" is 0.3691, below the threshold of 0.3692.')
    expect(resultSentence({ ...near, score: 0.36921, probabilities: { sick: 0.36921, well: 0.63079 } })).toContain(
      'at or above',
    )
    expect(apart(0.5, 0.5)).toEqual(['0.500', '0.500'])
  })

  it('name the label that the score is of, which a negative result does not carry', () => {
    expect(scoredLabel({ label: 'well', score: 0.2, probabilities: { sick: 0.2, well: 0.8 } })).toBe('sick')
    expect(scoredLabel({ label: '7', score: 0.9, probabilities: { '7': 0.9, '1': 0.1 } })).toBe('7')
    expect(scoredLabel({ label: 'odd', score: 0.3, probabilities: {} })).toBe('odd')
  })

  it('say how probable a class is where there is no threshold', () => {
    const digit = aPrediction(1, {
      label: '7',
      threshold: null,
      confidence: 0.982,
      score: 0.982,
      probabilities: { '7': 0.982, '1': 0.018 },
    })
    expect(resultSentence(digit)).toBe('"7" is the most probable of 2 classes, with a probability of 98.2 %.')
  })

  it('write times and dates for one reader in any time zone', () => {
    expect(time(Date.UTC(2025, 10, 21, 8, 6, 9, 999))).toBe('2025-11-21 08:06:09 UTC')
    expect(date('19700131')).toBe('1970-01-31')
    expect(date('1970')).toBe('1970')
    expect([duration(731.4), duration(61_000)]).toEqual(['731 ms', '61.0 s'])
  })

  it.each([
    ['Müller^Anna^B^Dr.^MD', 'Müller, Dr. Anna B, MD'],
    ['Yamada^Tarou=山田^太郎=やまだ^たろう', 'Yamada, Tarou'],
    ['山田^太郎=Yamada^Tarou', 'Yamada, Tarou'],
    ['Single', 'Single'],
    ['^Given', 'Given'],
    ['Mu\u0308ller^A', 'Müller, A'],
    ['Łukasz^Ż', undefined],
    ['山田^太郎', undefined],
    ['^^^^', undefined],
  ])('write the name %s as %s, or not at all', (name, expected) => {
    expect(personName(name)).toBe(expected)
  })

  it('show a question mark for a letter that the fonts lack', () => {
    expect(printable('Café – 肺 \u0007“x”')).toBe('Café – ? ?“x”')
  })
})
