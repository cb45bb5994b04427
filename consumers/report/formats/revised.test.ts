/** A revision says in each format that it takes the place of another, and what changed. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openStores, type Stores } from '../../../tests/harness/stores.ts'
import { aRevision } from '../../../tests/reports/content.ts'
import { attributesOf, treeOf } from '../../../tests/reports/objects.ts'
import { structuredReport } from '../dicom/sr/report.ts'
import type { Language } from '../texts/texts.ts'
import { studyBundle } from './fhir/bundle.ts'
import { studyMessage } from './hl7/study-message.ts'
import { studyJson } from './json/study-json.ts'

const said: Record<Language, string[]> = {
  en: [
    'Revision 2: replaces revision 1.',
    'What changed: 1 image came late.',
    'What changed: pneumonia (left): now found.',
    'What changed: nodule: no longer looked for.',
  ],
  fr: [
    'Révision 2 : remplace la révision 1.',
    'Ce qui a changé : 1 image est arrivée en retard.',
    'Ce qui a changé : pneumonia (gauche) : désormais trouvé.',
  ],
  es: ['Revisión 2: sustituye a la revisión 1.', 'Lo que ha cambiado: 1 imagen llegó tarde.'],
}

let stores: Stores
beforeAll(async () => {
  stores = await openStores()
})
afterAll(() => stores.close())

describe.each(Object.entries(said))('a revision, in %s,', (language, lines) => {
  const content = aRevision({ language: language as Language })

  // The thread that reads DICOM starts with the first one.
  it('as structured report', { timeout: 120_000 }, async () => {
    const tree = treeOf(await attributesOf(stores, structuredReport({ content, version: '0.1.0' }))).join('\n')
    for (const line of lines) expect(tree).toContain(`TEXT Comment = ${line}`)
  })

  it('as FHIR bundle', () => {
    const systems = { patients: {}, accessions: null }
    const report = studyBundle(content, { systems, pdf: null }).entry?.find(
      ({ resource }) => resource?.resourceType === 'DiagnosticReport',
    )?.resource
    expect(report).toMatchObject({ status: 'corrected' })
    for (const line of lines) expect(JSON.stringify(report)).toContain(line)
  })

  it('as HL7 message', () => {
    const notes = studyMessage(content, { linkBase: null, pdf: null })
      .split('\r')
      .filter(line => line.startsWith('NTE|'))
      .join('\n')
    for (const line of lines) expect(notes).toContain(line)
  })

  it('as JSON', () => {
    const { notes, replaces } = studyJson(content)
    expect(replaces).toBe(1)
    for (const line of lines) expect(notes.join('\n')).toContain(line)
  })
})
