import { expect, it } from 'vitest'
import { anAssessment } from '../../../tests/gateway/samples.ts'
import { completedWords } from './words.ts'

it('a study that is complete without all of its images says how many are there', () => {
  const idle = anAssessment(1, { instances: 2, expected: { images: 3, source: 'order' } })
  expect(completedWords(idle)).toBe('no more images came (2 of the 3 that were announced)')
  expect(completedWords({ ...idle, instances: 3 })).toBe('no more images came')
  expect(completedWords({ ...idle, expected: null })).toBe('no more images came')
  // What a PACS has then may be our own reports.
  expect(completedWords({ ...idle, revision: 2, expected: { images: 3, source: 'pacs' } })).toBe('no more images came')
})
