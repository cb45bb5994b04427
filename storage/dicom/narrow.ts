/**
 * Which part of a query the document store can answer from its indexes. What is left is tested on the attributes
 * themselves, so this may give too much and never too little; `exact` says that it gives neither.
 */
import type { Collection } from '../../schemas/documents.ts'
import type { DocumentStore, Filter } from '../documents.ts'
import type { Secrets } from '../secrets.ts'
import { foldName, type MatchKey } from './keys.ts'

export interface Narrowed {
  where: Filter
  exact: boolean
}

export interface NarrowPorts {
  documents: Pick<DocumentStore, 'countBy'>
  secrets: Pick<Secrets, 'digest'>
}

/** Kinds of `Secrets.digest`: what a study may be found by though it is kept sealed. */
export const digests = {
  patientId: (secrets: NarrowPorts['secrets'], text: string) => secrets.digest('pid', text.trim()),
  family: (secrets: NarrowPorts['secrets'], alphabetic: string) =>
    secrets.digest('fam', foldName(alphabetic.split('^')[0] ?? '').trim()),
  accession: (secrets: NarrowPorts['secrets'], text: string) => secrets.digest('acc', text.trim()),
}

type Part = Filter | 'nothing-to-narrow'

/** @param keys of the study's level and the patient's */
export async function narrowStudies(
  ports: NarrowPorts,
  keys: readonly MatchKey[],
  site: string | undefined,
): Promise<Narrowed> {
  let where: Filter = site === undefined ? {} : { site }
  let exact = true
  for (const key of keys) {
    const part = await studyPart(ports, key, where)
    if (part === 'nothing-to-narrow') exact = false
    else {
      where = { ...where, ...part }
      exact &&= key.attribute.keyword !== 'PatientName'
    }
  }
  return { where, exact }
}

async function studyPart({ documents, secrets }: NarrowPorts, key: MatchKey, where: Filter): Promise<Part> {
  const { values, range, text } = key
  switch (key.attribute.keyword) {
    case 'StudyInstanceUID':
      return values ? { uid: oneOf(values) } : 'nothing-to-narrow'
    case 'StudyDate':
      return range ? { at: dateRange(range) } : 'nothing-to-narrow'
    case 'PatientID':
      return values ? { patientId: digests.patientId(secrets, text) } : 'nothing-to-narrow'
    case 'AccessionNumber':
      return values ? { accession: digests.accession(secrets, text) } : 'nothing-to-narrow'
    case 'PatientName': {
      // A name that begins with a whole family name is looked up by it. Other groups than the alphabetic have no digest.
      const [family = '', given] = text.split('^')
      const whole = (given !== undefined || values !== undefined) && !/[*?=]/.test(family) && isLatin(family)
      return whole ? { family: digests.family(secrets, family) } : 'nothing-to-narrow'
    }
    case 'ModalitiesInStudy': {
      // There are few combinations of modalities; those that fit are looked up, each by the index.
      const combinations = Object.keys(await documents.countBy('dicomStudies', 'modalities', pick(where, 'site')))
      return { modalities: oneOf(combinations.filter(each => modalitiesOf(each).some(key.matches))) }
    }
    default:
      return 'nothing-to-narrow'
  }
}

/** What is written in other scripts may stand in the second or third component group. */
const isLatin = (text: string): boolean => /^[\p{Script=Latin}\p{Script=Common}\p{Script=Inherited}]+$/u.test(text)

const pick = (where: Filter, field: string): Filter => {
  const value = where[field]
  return value === undefined ? {} : { [field]: value }
}

export const modalitiesOf = (joined: string): string[] => joined.split('\\').filter(each => each !== '')

export const oneOf = (values: readonly string[]): Filter[string] => {
  const [first, ...rest] = values
  return first !== undefined && rest.length === 0 ? first : { in: [...values] }
}

/** As `at` of a study: yyyymmddhhmmss. A study without a date is in no range. */
function dateRange([from, to]: NonNullable<MatchKey['range']>): { gte: number; lt?: number } {
  const day = (text: string) => Number(text.replaceAll('.', '')) * 1_000_000
  return { gte: from === undefined ? 1 : day(from), ...(to !== undefined && { lt: day(to) + 1_000_000 }) }
}

/** By the series' own keys. */
export function narrowSeries(keys: readonly MatchKey[]): Narrowed {
  return narrowByFields(keys, { SeriesInstanceUID: 'uid', Modality: 'modality' })
}

export function narrowInstances(keys: readonly MatchKey[]): Narrowed {
  return narrowByFields(keys, { SOPInstanceUID: 'uid' })
}

function narrowByFields(keys: readonly MatchKey[], fields: Readonly<Record<string, string>>): Narrowed {
  let where: Filter = {}
  let exact = true
  for (const { attribute, values } of keys) {
    const field = fields[attribute.keyword]
    if (field === undefined || values === undefined) exact = false
    else where = { ...where, [field]: oneOf(values) }
  }
  return { where, exact }
}

export const collectionOf = {
  STUDY: 'dicomStudies',
  SERIES: 'dicomSeries',
  IMAGE: 'dicomInstances',
} as const satisfies Record<string, Collection>
