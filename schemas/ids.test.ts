import { describe, expect, it } from 'vitest'
import { ids } from './ids.ts'

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
