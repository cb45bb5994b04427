import { expect, it } from 'vitest'
import { fromIso, fromLocal, toLocal } from './times.ts'

it('writes each time as the field takes it, also of a year that is being typed', () => {
  for (const text of ['2026-01-02T03:04:05', '0002-11-12T13:14:15', '0202-01-02T03:04:05'])
    expect(toLocal(fromLocal(text))).toBe(text)
})

it('has no time where there is none', () => {
  expect(fromLocal('')).toBeNaN()
  expect([fromIso(null), fromIso('soon')]).toEqual([null, null])
})
