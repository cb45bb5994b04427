import { expect, it } from 'vitest'
import { vrOf } from '../../../models/imaging/json/dictionary.ts'
import { keywords } from './keywords.ts'

it.each(Object.entries(keywords))('%s has the VR that the data dictionary says', (_, [tag, vr]) => {
  const said = vrOf(tag, { signed: false })
  expect(vr).toBe(tag === '7FE00010' ? 'OB' : said)
})

it('no two keywords are of one tag, and they stand in the order of their tags', () => {
  const tags = Object.values(keywords).map(([tag]) => tag)
  expect(tags).toEqual([...new Set(tags)].sort())
})
