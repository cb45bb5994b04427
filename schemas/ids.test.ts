import { describe, expect, it } from 'vitest'
import { ids, uids } from './ids.ts'

describe('ids', () => {
  it('are what they always were: an id on the log names the same thing after an update', () => {
    expect(ids.instance('main', '1.2.3', 'ab')).toBe('in_eeff0e6fbaee0313b616fba975e51cba')
    expect(ids.instance('Süd', null, 'ab')).toBe('in_3b5695ce4651872ab6df3f2dc86b01bf')
    expect(ids.delivery('a', 'b', 'c')).toBe('dl_321cf3124838eafcf3df515fc440c745')
    expect(ids.studyRevision('st_1', 2)).toBe('sr_09db279237fca4e2f7f9d5dd86a3654b')
  })

  it('differ wherever the border between two parts is', () => {
    const all = [
      ids.delivery('ab', 'c', ''),
      ids.delivery('a', 'bc', ''),
      ids.delivery('a', 'b', 'c'),
      ids.delivery('a2:bc', '', ''),
    ]
    expect(new Set(all).size).toBe(all.length)
  })
})

it('a report series stays the same over revisions; an object of it is of one revision, format and part', () => {
  expect(uids.reportSeries('st_1', 'sr')).toMatch(/^2\.25\.\d{30,39}$/)
  expect(uids.reportSeries('st_1', 'sr')).not.toBe(uids.reportSeries('st_1', 'pdf'))
  const all = [
    uids.report('st_1', 1, 'sr', null),
    uids.report('st_1', 2, 'sr', null),
    uids.report('st_1', 1, 'sc', null),
    uids.report('st_1', 1, 'sc', 'in_1'),
  ]
  expect(new Set(all).size).toBe(4)
  expect(uids.report('st_1', 1, 'sr', null)).toBe(all[0])
})
