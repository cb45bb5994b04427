import { expect, it } from 'vitest'
import { outcomeOf } from './outcome.ts'

it.each([
  [0x0000, 'done'],
  [0xb000, 'warning'],
  [0xb007, 'warning'],
  [0xa700, 'later'],
  [0xa7ff, 'later'],
  [0xa801, 'refused'],
  [0xa900, 'refused'],
  [0xc000, 'refused'],
  [0x0122, 'refused'],
] as const)('a response of 0x%x is %s', (code, outcome) => {
  expect(outcomeOf(code)).toBe(outcome)
})
