import { expect, it } from 'vitest'
import { reportWords } from '../../schemas/report-types.ts'
import { studyFormats } from './formats.ts'

it('each format has words of its own for people, and one of a later version its name', () => {
  const words = [...Object.keys(studyFormats), 'pdf'].map(reportWords)
  expect(new Set(words).size).toBe(words.length)
  for (const format of Object.keys(studyFormats).filter(name => name.includes('-')))
    expect(reportWords(format)).not.toBe(format)
  expect(reportWords('constructor')).toBe('constructor')
})
