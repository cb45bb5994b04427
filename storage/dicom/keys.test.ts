import { describe, expect, it } from 'vitest'
import type { DicomValue } from '../../schemas/dicom-json.ts'
import { fits, matchKey } from './keys.ts'

function matches(name: string, asked: string, value: DicomValue): boolean {
  const key = matchKey(name, asked)
  if (key === 'unsupported') throw new Error('unsupported')
  return key === undefined || key.matches(value)
}

describe('a key of a query', () => {
  it.each<[string, string, DicomValue, boolean]>([
    ['PatientID', 'A1', 'A1', true],
    ['PatientID', 'A1 ', 'A1', true],
    ['PatientID', 'a1', 'A1', false],
    ['PatientID', 'A', 'A1', false],
    ['PatientID', 'A*', 'A1', true],
    ['PatientID', 'A?', 'A1', true],
    ['PatientID', 'A?', 'A12', false],
    ['PatientID', '*1*2*', 'x1y2z', true],
    ['PatientID', '*12*12', '1212', true],
    ['PatientID', '12*12', '12', false],
    ['PatientID', 'a.c*', 'abc', false],
    ['StudyDescription', '', 'anything', true],
    ['StudyDescription', '**', null, true],
    ['Modality', 'CT\\MR', 'MR', true],
    ['Modality', 'CT\\MR', 'CR', false],
    ['StudyInstanceUID', '1.2\\1.3', '1.3', true],
    ['StudyInstanceUID', '1.2', '1.2.3', false],
    ['InstanceNumber', '07', 7, true],
    ['InstanceNumber', '7', 8, false],
    ['PatientName', 'doe^john', { Alphabetic: 'Doe^John' }, true],
    ['PatientName', 'DOE^JOHN^^', { Alphabetic: 'Doe^John' }, true],
    ['PatientName', 'doe', { Alphabetic: 'Doe^John' }, false],
    ['PatientName', 'do*', { Alphabetic: 'Doe^John' }, true],
    ['PatientName', '山田*', { Alphabetic: 'Yamada^Tarou', Ideographic: '山田^太郎' }, true],
    ['PatientName', 'Yamada^Tarou=山田^太郎', { Alphabetic: 'Yamada^Tarou', Ideographic: '山田^太郎' }, true],
    ['PatientName', 'MÜLLER*', { Alphabetic: 'mu\u0308ller^Eva' }, true],
    ['StudyDate', '20240131', '20240131', true],
    ['StudyDate', '20240101-20240131', '20240131', true],
    ['StudyDate', '20240101-20240131', '20240201', false],
    ['StudyDate', '-20240131', '19991231', true],
    ['StudyDate', '20240201-', '20240131', false],
    ['StudyDate', '2024.01.31', '20240131', true],
    ['StudyTime', '10', '103059.123', true],
    ['StudyTime', '10-11', '115959', true],
    ['StudyTime', '1000-1030', '103059', true],
    ['StudyTime', '1000-1030', '103100', false],
    ['StudyTime', '-1030', '1029', true],
    ['AcquisitionDateTime', '20240131-20240201', '20240201235959', true],
    ['AcquisitionDateTime', '20240131120000-0500', '20240131120000', true],
  ])('%s=%j against %j: %j', (name, asked, value, expected) => {
    expect(matches(name, asked, value)).toBe(expected)
  })

  it.each([
    ['StudyDate', 'today'],
    ['StudyDate', '-'],
    ['StudyDate', '20240101-soon'],
    ['StudyTime', '9'],
    ['InstanceNumber', 'seven'],
    ['PatientID', 'x'.repeat(20_000)],
  ])('%s=%j is refused', (name, asked) => {
    expect(() => matchKey(name, asked)).toThrow(expect.objectContaining({ code: 'bad-request' }))
  })

  it('that is not indexed says so', () => {
    expect(matchKey('00189999', 'x')).toBe('unsupported')
  })

  it('of thousands of stars is looked for in one pass, also where it is not there', () => {
    /** Characters that are looked at in a text of so many `a`. */
    function looks(length: number, parts: readonly string[]): number {
      let count = 0
      const text = new Proxy({ length } as ArrayLike<string>, {
        get(target, name) {
          if (name === 'length') return target.length
          count++
          return 'a'
        },
      })
      expect(fits(text, parts)).toBe(false)
      return count
    }
    // `*a*a…*b*`: each `a` could stand anywhere, and there is no `b` to end the search.
    const stars = ['', ...Array<string>(2_000).fill('a'), 'b', '']
    expect(looks(10_000, stars)).toBeLessThanOrEqual(10_000)
    expect(looks(20_000, stars)).toBeLessThanOrEqual(20_000)
    // `*aa…ab*` looks again at what one part has seen, and no further.
    expect(looks(10_000, ['', `${'a'.repeat(9)}b`, ''])).toBeLessThanOrEqual(10 * 10_000)
    expect(matches('PatientID', `${'*a'.repeat(2_000)}*b*`, 'a'.repeat(10_000))).toBe(false)
  })
})
