import { describe, expect, it } from 'vitest'
import { personName, printable, scoredLabel } from './words.ts'

describe('the words of a page', () => {
  it('name the label that the score is of, which a negative result does not carry', () => {
    expect(scoredLabel({ label: 'well', score: 0.2, probabilities: { sick: 0.2, well: 0.8 } })).toBe('sick')
    expect(scoredLabel({ label: '7', score: 0.9, probabilities: { '7': 0.9, '1': 0.1 } })).toBe('7')
    expect(scoredLabel({ label: 'odd', score: 0.3, probabilities: {} })).toBe('odd')
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
