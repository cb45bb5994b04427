import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { components, header, message, repetitions, segment, text } from '../../../../hl7/message.ts'
import { aContent, aFinding, aRevision, identity } from '../../../../tests/reports/content.ts'
import { studyMessage } from './study-message.ts'

const options = { linkBase: null, pdf: null }
const fieldsOf = (hl7: string, name: string) =>
  hl7
    .split('\r')
    .filter(line => line.startsWith(`${name}|`))
    .map(line => line.split('|'))

describe('the encoding', () => {
  it('escapes what would end a field, and keeps a segment on its line', () => {
    expect(text('a|b^c&d~e\\f\r\n\u0000 g').hl7).toBe('a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f g')
    expect(components('a', null, 'b', null).hl7).toBe('a^^b')
    expect(repetitions(null, 'a', '', 'b').hl7).toBe('a~b')
    expect(segment('OBX', { 1: 1, 3: 'x', 5: null })).toBe('OBX|1||x')
    expect(header({ 3: 'RAYLOG', 9: 'ORU' })).toBe('MSH|^~\\&|RAYLOG||||||ORU')
  })

  it('keeps any text in its field', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (one, other) => {
        const lines = message([segment('NTE', { 1: 1, 2: one, 3: components(other, 'end') })]).split('\r')
        expect(lines).toHaveLength(2)
        expect(lines[0]?.split('|').length).toBe(4)
        expect(lines[0]?.split('|')[3]?.split('^').at(-1)).toBe('end')
      }),
    )
  })
})

describe('an ORU^R01', () => {
  it('is the same to the byte when it is made again, with the control id of its revision', () => {
    expect(studyMessage(aContent(), options)).toBe(studyMessage(aContent(), options))
    const [[, , , , , , , , , control] = []] = fieldsOf(studyMessage(aContent(), options), 'MSH')
    const [[, , , , , , , , , later] = []] = fieldsOf(studyMessage(aRevision(), options), 'MSH')
    expect(control).toMatch(/^[0-9a-f]{20}$/)
    expect(later).not.toBe(control)
  })

  it('corrects under the filler order number of what it corrects', () => {
    const [first, second] = [aContent(), aRevision()].map(one => studyMessage(one, options))
    expect(fieldsOf(second ?? '', 'OBR')[0]?.[3]).toBe(fieldsOf(first ?? '', 'OBR')[0]?.[3])
    expect(fieldsOf(first ?? '', 'OBR')[0]?.[25]).toBe('P')
    expect(fieldsOf(second ?? '', 'OBR')[0]?.[25]).toBe('C')
    expect(new Set(fieldsOf(second ?? '', 'OBX').map(fields => fields[11]))).toEqual(new Set(['C']))
    expect(second).toContain('Revision 2: replaces revision 1.')
  })

  it('says who it is of: identifier with its issuer, each form of the name, accession number', () => {
    const hl7 = studyMessage(aContent(), options)
    const [pid] = fieldsOf(hl7, 'PID')
    expect(pid?.[3]).toBe('P-17^^^HOSP^PI')
    expect(pid?.[5]).toBe('Yamada^Tarou^^^^^L^A~山田^太郎^^^^^L^I~やまだ^たろう^^^^^L^P')
    expect(pid?.slice(7, 9)).toEqual(['19700131', 'M'])
    expect(fieldsOf(hl7, 'OBR')[0]?.[18]).toBe('A\\T\\B\\F\\17')
    const oid = aContent({ identity: { ...identity, issuer: '1.2.840.1', name: 'A^B^C^Dr^MD' } })
    const [other] = fieldsOf(studyMessage(oid, options), 'PID')
    expect(other?.[3]).toBe('P-17^^^&1.2.840.1&ISO^PI')
    // DICOM has the prefix fourth, HL7 the suffix.
    expect(other?.[5]).toBe('A^B^C^MD^Dr^^L^A')
  })

  it('names a pseudonym where there is no identity, and nobody where there is none at all', () => {
    const nameless = aContent({ identity: null })
    expect(fieldsOf(studyMessage(nameless, options), 'PID')[0]?.slice(3, 6)).toEqual([
      `${nameless.assessed.patient}^^^RAYLOG^ANON`,
      '',
      '^^^^^^S',
    ])
    const nobody = { ...nameless, assessed: { ...nameless.assessed, patient: null } }
    expect(fieldsOf(studyMessage(nobody, options), 'PID')).toEqual([])
  })

  it('says of each finding code, score against its threshold, text and model', () => {
    const findings = [aFinding(), aFinding({ label: 'nodule', present: false, threshold: null, score: 0.25 })]
    const content = aContent()
    const hl7 = studyMessage({ ...content, assessed: { ...content.assessed, findings } }, options)
    const results = fieldsOf(hl7, 'OBX').map(fields => [fields[2], fields[4], fields[5], fields[7], fields[8]])
    expect(results).toContainEqual(['CE', '1', '52101004^Present^SCT', '', 'A'])
    expect(results).toContainEqual(['NM', '1', '0.91', '<0.5', 'A'])
    expect(results).toContainEqual(['CE', '2', '2667000^Absent^SCT', '', 'N'])
    expect(results).toContainEqual(['NM', '2', '0.25', '', 'N'])
    expect(fieldsOf(hl7, 'OBX').find(fields => fields[3] === '^nodule')).toBeDefined()
    expect(hl7).toContain('The score 0.910 is at or above the threshold 0.500.')
  })

  it('links to the page and carries the PDF where it is asked to', () => {
    const hl7 = studyMessage(aContent(), { linkBase: 'https://raylog.example/', pdf: Buffer.from('%PDF') })
    expect(hl7).toMatch(/\|RP\|page\^[^|]*\|\|https:\/\/raylog\.example\/worklist\/st_[0-9a-f]+\^RAYLOG\^TEXT\^HTML/)
    expect(hl7).toContain('|RAYLOG^AP^PDF^Base64^JVBERg==|')
    expect(studyMessage(aContent(), options)).not.toMatch(/\|(RP|ED)\|/)
  })
})
