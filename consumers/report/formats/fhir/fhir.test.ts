import type { DiagnosticReport, Observation, Patient, Provenance, Resource } from '@medplum/fhirtypes'
import { describe, expect, it } from 'vitest'
import { ids } from '../../../../schemas/ids.ts'
import { aContent, aFinding, aRevision, identity } from '../../../../tests/reports/content.ts'
import type { StudyContent } from '../../study/format.ts'
import { studyBundle } from './bundle.ts'
import type { Systems } from './names.ts'

const systems: Systems = { patients: {}, accessions: null }
const bundleOf = (content: StudyContent, own = systems) => studyBundle(content, { systems: own, pdf: null })

function resources<R extends Resource>(content: StudyContent, type: R['resourceType']): R[] {
  return (bundleOf(content).entry ?? []).flatMap(({ resource }) =>
    resource?.resourceType === type ? [resource as R] : [],
  )
}

/** Every `reference` in it. */
function referencesIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) =>
    key === 'reference' && typeof inner === 'string' ? [inner] : referencesIn(inner),
  )
}

describe('the transaction', () => {
  it('is the same to the byte when it is made again', () => {
    expect(JSON.stringify(bundleOf(aContent()))).toBe(JSON.stringify(bundleOf(aContent())))
  })

  it.each([
    ['a first version', aContent()],
    ['a revision', aRevision()],
    ['nobody', aContent({ identity: null })],
  ])('refers to nothing outside of itself, and makes each thing once: %s', (_, content) => {
    const entries = bundleOf(content).entry ?? []
    const urls = entries.map(({ fullUrl }) => fullUrl)
    expect(new Set(urls).size).toBe(urls.length)
    for (const reference of referencesIn(entries)) expect(urls).toContain(reference)
    for (const { request } of entries) {
      // Conditional, so that sending it twice makes one.
      expect(request?.ifNoneExist ?? request?.url).toMatch(/(identifier|_tag)=.+%7C.+/)
    }
    const asked = entries.map(({ request }) => `${request?.url} ${request?.ifNoneExist}`)
    expect(new Set(asked).size).toBe(asked.length)
  })

  it('is preliminary first; later amended, or corrected where a person did, under the same identifiers', () => {
    const [first] = resources<DiagnosticReport>(aContent(), 'DiagnosticReport')
    const [corrected] = resources<DiagnosticReport>(aRevision(), 'DiagnosticReport')
    const revision = aRevision()
    const untouched = { ...revision, assessed: { ...revision.assessed, findings: [aFinding()] } }
    const [amended] = resources<DiagnosticReport>(untouched, 'DiagnosticReport')
    expect([first?.status, amended?.status, corrected?.status]).toEqual(['preliminary', 'amended', 'corrected'])
    expect(amended?.identifier?.[0]).toEqual(first?.identifier?.[0])
    expect(amended?.identifier?.[1]).not.toEqual(first?.identifier?.[1])
    const identifiers = (content: StudyContent) =>
      resources<Observation>(content, 'Observation').map(one => one.identifier?.[0]?.value)
    expect(identifiers(untouched)).toEqual(expect.arrayContaining(identifiers(aContent())))
    const [provenance] = resources<Provenance>(untouched, 'Provenance')
    expect(provenance?.entity?.find(({ role }) => role === 'revision')?.what.identifier).toEqual(first?.identifier?.[1])
  })

  it('is of the revision that the server has, where the one directly before was refused', () => {
    const reports = [{ id: 'rp_1', format: 'fhir', part: null, object: 'x', bytes: 1, revision: 1 }]
    const content = aRevision()
    const third = { ...content.assessed, id: ids.studyRevision(content.assessed.study, 3), revision: 3 }
    const of = { ...content, assessed: third, predecessor: { revision: 2, reports } }
    const [provenance] = resources<Provenance>(of, 'Provenance')
    expect(provenance?.entity?.find(({ role }) => role === 'revision')?.what.identifier?.value).toBe(
      ids.studyRevision(content.assessed.study, 1),
    )
  })

  it('takes back what a revision no longer says', () => {
    const withdrawn = resources<Observation>(aRevision(), 'Observation').filter(one => one.status === 'cancelled')
    expect(withdrawn).toHaveLength(1)
    expect(withdrawn[0]?.identifier?.[0]?.value).toContain('nodule')
    expect(resources<DiagnosticReport>(aRevision(), 'DiagnosticReport')[0]?.result).toHaveLength(2)
  })

  it('keeps a finding of two versions of a model apart', () => {
    const content = aContent()
    const findings = [aFinding(), aFinding({ model: 'chest@2.0.0', present: false })]
    const urls = bundleOf({ ...content, assessed: { ...content.assessed, findings } }).entry?.map(one => one.fullUrl)
    expect(new Set(urls).size).toBe(urls?.length)
  })

  it('says who it is of, with the hospital’s own identifiers, and never overwrites its patient', () => {
    const own = { patients: { HOSP: 'https://hospital.example/patients' }, accessions: 'urn:oid:1.2.3' }
    const [patient] = (bundleOf(aContent(), own).entry ?? []).filter(one => one.resource?.resourceType === 'Patient')
    expect(patient?.request).toEqual({
      method: 'POST',
      url: 'Patient',
      ifNoneExist: `identifier=${encodeURIComponent('https://hospital.example/patients|P-17')}`,
    })
    const who = patient?.resource as Patient
    expect(who).toMatchObject({ gender: 'male', birthDate: '1970-01-31' })
    expect(who.name?.map(({ family, given }) => [family, ...(given ?? [])])).toEqual([
      ['Yamada', 'Tarou'],
      ['山田', '太郎'],
      ['やまだ', 'たろう'],
    ])
    const accession = [{ value: 'A&B|17', system: 'urn:oid:1.2.3' }]
    expect(bundleOf(aContent(), own).entry).toContainEqual(
      expect.objectContaining({
        resource: expect.objectContaining({
          resourceType: 'ImagingStudy',
          identifier: expect.arrayContaining([
            { system: 'urn:dicom:uid', value: 'urn:oid:1.2.3' },
            expect.objectContaining(accession[0]),
          ]),
        }),
      }),
    )
  })

  it('makes systems of its own where none are set: another for each issuer', () => {
    const systemOf = (issuer: string | null) =>
      resources<Patient>(aContent({ identity: { ...identity, issuer } }), 'Patient')[0]?.identifier?.[0]?.system
    const made = ['A', 'B', null].map(systemOf)
    expect(new Set(made).size).toBe(3)
    for (const one of made) expect(one).toMatch(/^urn:oid:2\.25\.\d+$/)
    expect(systemOf('1.2.840.1')).toBe('urn:oid:1.2.840.1')
  })

  it('looks for an identifier as it is, whatever is in it', () => {
    const own = { patients: { HOSP: 'urn:x' }, accessions: null }
    const odd = aContent({ identity: { ...identity, patientId: 'a,b|c$d\\e&f=g' } })
    const asked = bundleOf(odd, own).entry?.find(one => one.resource?.resourceType === 'Patient')?.request?.ifNoneExist
    expect(new URLSearchParams(asked).get('identifier')).toBe('urn:x|a\\,b\\|c\\$d\\\\e&f=g')
  })

  it('names only the pseudonym where there is no identity', () => {
    const text = JSON.stringify(bundleOf(aContent({ identity: null })))
    expect(text).not.toContain('Yamada')
    expect(text).toContain('pt_0123456789abcdefghijkl')
    expect(resources(aContent({ identity: null }), 'Patient')).toEqual([])
  })

  it('codes a label in its scheme, under the address that FHIR has for that; one that FHIR knows none for is text alone', () => {
    const coded = (scheme: string, value: string) => {
      const content = aContent({ codes: { pneumonia: { scheme, value, meaning: 'pneumonia' } } })
      return resources<Observation>(content, 'Observation')[0]?.code
    }
    const radlex = { system: 'http://www.radlex.org', code: 'RID5350', display: 'pneumonia' }
    expect(coded('RADLEX', 'RID5350')).toEqual({ coding: [radlex], text: 'pneumonia' })
    expect(coded('SCT', '233604007')?.coding).toMatchObject([{ system: 'http://snomed.info/sct' }])
    expect(coded('99LOCAL', 'x')).toEqual({ text: 'pneumonia' })
  })

  it('holds no markup of a label’s', () => {
    const content = aContent()
    const findings = [aFinding({ label: '<script>&"\u0001\ud800' })]
    const [one] = resources<Observation>({ ...content, assessed: { ...content.assessed, findings } }, 'Observation')
    expect(one?.text?.div).toContain('&lt;script&gt;&amp;&quot; \ufffd')
  })
})
