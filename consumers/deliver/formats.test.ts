import { describe, expect, it } from 'vitest'
import { deliverConfig } from './config.ts'
import { madeBy, notMade } from './formats.ts'

const pacs = { name: 'pacs', kind: 'dicom', peer: 'pacs' }
const share = { name: 'share', kind: 'folder', path: '/share' }
const problems = (made: string[], ...destinations: object[]) =>
  notMade(deliverConfig.parse({ destinations }), madeBy({ formats: made, language: 'en' }))

describe('a destination', () => {
  it('that is to get what is not made is a problem, whether it names it or takes nothing else', () => {
    expect(problems(['json'], pacs)).toEqual([
      'deliver.destinations.0: pacs is to get anything that a destination of kind dicom takes, which is not made; name it in report.formats',
    ])
    expect(problems(['json'], share, { ...share, name: 'other', rules: [{ formats: ['json', 'csv'] }] })).toEqual([
      'deliver.destinations.1: other is to get csv, which is not made; name it in report.formats',
    ])
  })

  it('that names what its kind does not take is a problem, made or not', () => {
    const of = (kind: object, formats: string[]) => problems(['dicom-sr', 'fhir'], { ...kind, rules: [{ formats }] })
    expect(of(pacs, ['dicom-sr', 'pdf'])).toEqual([
      'deliver.destinations.0: pacs is to get pdf, which a destination of kind dicom does not take',
    ])
    expect(of({ name: 'ehr', kind: 'fhir', url: 'http://ehr/r4' }, ['dicom-sr'])).toHaveLength(1)
    expect(of(pacs, ['dicom-sr'])).toEqual([])
  })

  it('that gets something is none', () => {
    expect(problems(['dicom-sr'], pacs, share)).toEqual([])
    expect(problems([], { ...share, rules: [{ formats: ['pdf'] }] })).toEqual([])
  })
})
