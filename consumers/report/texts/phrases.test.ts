import { describe, expect, it } from 'vitest'
import type { StudyAssessed } from '../../../schemas/topics.ts'
import { aContent } from '../../../tests/reports/content.ts'
import { completeWords } from './phrases.ts'
import { type Language, speak } from './texts.ts'

describe('why a study counts as complete', () => {
  const of = (over: Partial<StudyAssessed>, language: Language = 'en') => {
    const content = aContent()
    return completeWords(speak(language), { assessed: { ...content.assessed, instances: 2, ...over } })
  }
  const idle = { completedBy: 'idle' as const, expected: { images: 3, source: 'order' } }

  it('is said, and how many images are there where more were announced', () => {
    expect(of(idle)).toBe('no further image came within the set time (2 of the 3 that were announced)')
    expect(of(idle, 'fr')).toContain('dans le délai fixé (2 sur les 3 annoncées)')
    expect(of(idle, 'es')).toContain('en el plazo fijado (2 de las 3 anunciadas)')
    expect(of({ ...idle, completedBy: 'forced' })).toContain('(2 of the 3')
  })

  it('is said without a number where all are there, or nothing was announced', () => {
    expect(of({ ...idle, expected: null })).toBe('no further image came within the set time')
    expect(of({ ...idle, instances: 3 })).toBe('no further image came within the set time')
    expect(of({ completedBy: 'expected_count', expected: { images: 2, source: 'order' } })).toBe(
      'as many images came as were announced (2)',
    )
  })

  it('is said without the number of an archive that may count our own reports', () => {
    const pacs = { ...idle, expected: { images: 3, source: 'pacs' } }
    expect(of(pacs)).toContain('(2 of the 3')
    expect(of({ ...pacs, revision: 2 })).not.toContain('(')
    expect(of({ ...idle, revision: 2 })).toContain('(2 of the 3')
  })
})
