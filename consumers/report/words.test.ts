import { describe, expect, it } from 'vitest'
import { personName, printable } from './words.ts'

describe('the words of a page', () => {
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
