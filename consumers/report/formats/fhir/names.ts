/** Systems, codes and ids of the bundle. */
import { createHash } from 'node:crypto'
import type { CodeableConcept, Coding, Identifier } from '@medplum/fhirtypes'
import { uuidUid } from '../../../../schemas/ids.ts'
import { codeOfLabel } from '../../study/facts.ts'
import type { StudyContent } from '../../study/format.ts'

const digest = (...parts: readonly string[]): Buffer => createHash('sha256').update(JSON.stringify(parts)).digest()

/** `urn:uuid` of a resource within the bundle, derived so that the same content gives the same bytes (RFC 9562 5.8). */
export function fullUrl(...parts: readonly string[]): string {
  const bytes = digest('resource', ...parts).subarray(0, 16)
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  return `urn:uuid:${bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')}`
}

/** A namespace that nobody else can have made, for where no official one is set. */
const systemOf = (...parts: readonly string[]): string => `urn:oid:${uuidUid(digest('system', ...parts))}`

/** Of the identifiers that Raylog gives. They are the same in every installation: what they name has its site in it. */
export const ours = {
  study: systemOf('study'),
  revision: systemOf('revision'),
  finding: systemOf('finding'),
  model: systemOf('model'),
  software: systemOf('software'),
  pseudonym: systemOf('pseudonym'),
} as const

/** Of the identifiers that the hospital gives. */
export interface Systems {
  /** URI by issuer; under the empty string for patient ids without one. */
  patients: Readonly<Record<string, string>>
  accessions: string | null
}

/** That of the settings; an issuer that is an OID is one; otherwise one that is derived from site and issuer. */
export function patientSystem(systems: Systems, site: string, issuer: string | null): string {
  const name = issuer ?? ''
  const set = Object.hasOwn(systems.patients, name) ? systems.patients[name] : undefined
  if (set !== undefined) return set
  return /^[0-2](\.(0|[1-9]\d*))+$/.test(name) ? `urn:oid:${name}` : systemOf('patients', site, name)
}

export const accessionSystem = (systems: Systems, site: string): string =>
  systems.accessions ?? systemOf('accessions', site)

const dcm = 'http://dicom.nema.org/resources/ontology/DCM'

const schemes: Readonly<Record<string, string>> = {
  SCT: 'http://snomed.info/sct',
  DCM: dcm,
  LN: 'http://loinc.org',
  RADLEX: 'http://www.radlex.org',
  UCUM: 'http://unitsofmeasure.org',
}

const coding = (scheme: string, code: string, display: string): Coding => {
  const system = schemes[scheme]
  return { ...(system === undefined ? {} : { system }), code, display }
}

const v2 = (table: string) => `http://terminology.hl7.org/CodeSystem/v2-${table}`
const v3 = (name: string) => `http://terminology.hl7.org/CodeSystem/v3-${name}`

export const codes = {
  report: coding('LN', '18748-4', 'Diagnostic imaging study'),
  radiology: { system: v2('0074'), code: 'RAD', display: 'Radiology' },
  imaging: {
    system: 'http://terminology.hl7.org/CodeSystem/observation-category',
    code: 'imaging',
    display: 'Imaging',
  },
  present: coding('SCT', '52101004', 'Present'),
  absent: coding('SCT', '2667000', 'Absent'),
  positive: { system: v3('ObservationInterpretation'), code: 'POS', display: 'Positive' },
  negative: { system: v3('ObservationInterpretation'), code: 'NEG', display: 'Negative' },
  software: coding('SCT', '706689003', 'Application program software'),
  left: coding('SCT', '7771000', 'Left'),
  right: coding('SCT', '24028007', 'Right'),
  both: coding('SCT', '51440002', 'Right and left'),
  accession: { system: v2('0203'), code: 'ACSN', display: 'Accession ID' },
  patientId: { system: v2('0203'), code: 'MR', display: 'Medical record number' },
  notPerformed: {
    system: 'http://terminology.hl7.org/CodeSystem/data-absent-reason',
    code: 'not-performed',
    display: 'Not Performed',
  },
  create: { system: v3('DataOperation'), code: 'CREATE', display: 'create' },
  update: { system: v3('DataOperation'), code: 'UPDATE', display: 'revise' },
  assembler: {
    system: 'http://terminology.hl7.org/CodeSystem/provenance-participant-type',
    code: 'assembler',
    display: 'Assembler',
  },
  performer: {
    system: 'http://terminology.hl7.org/CodeSystem/provenance-participant-type',
    code: 'performer',
    display: 'Performer',
  },
} as const satisfies Record<string, Coding>

/** What a model calls it, with its code where one is known. */
export function labelConcept(label: string, content: Pick<StudyContent, 'codes'>): CodeableConcept {
  const code = codeOfLabel(label, content)
  const known = code && schemes[code.scheme] !== undefined ? coding(code.scheme, code.value, code.meaning) : undefined
  return known ? { coding: [known], text: label } : { text: label }
}

/** OT: other, where the images do not say. */
export const modality = (code: string | null): Coding => ({ system: dcm, code: code ?? 'OT' })

/** `system|value` for a search, with the escapes of R4 3.1.1.4.5, as a query. */
export const queryOf = ({ system = '', value = '' }: Identifier): string =>
  `identifier=${[system, value].map(part => encodeURIComponent(part.replace(/[\\,$|]/g, '\\$&'))).join('%7C')}`
