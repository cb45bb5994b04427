import { describe, expect, it } from 'vitest'
import type { StudyAssessed } from '../../../schemas/topics.ts'
import { aPrediction } from '../../../tests/gateway/samples.ts'
import { aContent } from '../../../tests/reports/content.ts'
import { completeWords, resultSentence } from './phrases.ts'
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

describe('the answer about one image', () => {
  it('says on which side of the threshold the score is, of which label, with decimals enough to see it', () => {
    const near = aPrediction(1, {
      ...{ label: 'well', score: 0.36914, threshold: 0.36921 },
      probabilities: { sick: 0.36914, well: 0.63086 },
    })
    const at = { ...near, score: 0.36921, probabilities: { sick: 0.36921, well: 0.63079 } }
    const said = (language: Language) => [near, at].map(one => resultSentence(speak(language), one))
    expect(said('en')).toEqual([
      'The score for “sick” is 0.3691, below the threshold 0.3692.',
      'The score for “sick” is 0.369, at or above the threshold 0.369.',
    ])
    expect(said('fr')[0]).toBe('Le score de « sick » est 0,3691, inférieur au seuil 0,3692.')
    expect(said('es')[1]).toBe('La puntuación de «sick» es 0,369: alcanza o supera el umbral 0,369.')
  })

  it('says how probable a class is where there is no threshold', () => {
    const digit = aPrediction(1, {
      ...{ label: '7', threshold: null, confidence: 0.982, score: 0.982 },
      probabilities: { '7': 0.982, '1': 0.018 },
    })
    const said = (language: Language) => resultSentence(speak(language), digit)
    expect(said('en')).toBe('“7” is the most probable of 2 classes, with a probability of 98.2%.')
    expect(said('fr')).toBe('« 7 » est la plus probable de 2 classes, avec une probabilité de 98,2\u00a0%.')
    expect(said('es')).toBe('«7» es la más probable de 2 clases, con una probabilidad de 98,2\u00a0%.')
  })
})
