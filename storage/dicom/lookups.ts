/** One search a level. A search that is narrowed by a level above looks there first, and then among what belongs to that. */
import type {
  DicomInstanceDoc,
  DicomSeriesDoc,
  DicomStudyDoc,
  IndexedValues,
  QueryLevel,
} from '../../schemas/dicom-index.ts'
import type { DicomMatch, DicomQuery, KeysByLevel } from '../dicom-query.ts'
import type { DocumentStore, Filter } from '../documents.ts'
import type { Secrets } from '../secrets.ts'
import { modalitiesOf, type Narrowed, narrowInstances, narrowSeries, narrowStudies } from './narrow.ts'
import { fits, type PagePorts, pages, studyPages } from './pages.ts'

export interface Search extends DicomQuery {
  byLevel: KeysByLevel
}

export interface LookupPorts extends PagePorts {
  documents: Pick<DocumentStore, 'find' | 'list' | 'getMany' | 'countBy'>
  secrets: Pick<Secrets, 'digest'>
  open(doc: { id: string; sealed: string; mark?: string }): IndexedValues
}

type Lookup = (search: Search) => AsyncGenerator<DicomMatch, void, undefined>

/** Parents looked up together; a document store takes so many values of one field apart (documents-query.ts). */
const parentsAtOnce = 32

export function createLookups(ports: LookupPorts): Record<QueryLevel, Lookup> {
  const { documents, open } = ports

  async function* studies(search: Search): AsyncGenerator<DicomMatch, void, undefined> {
    const keys = [...search.byLevel.PATIENT, ...search.byLevel.STUDY]
    const narrowed = await narrowStudies(ports, keys, search.site)
    const { exact } = narrowed
    const skip = skipper(search.offset, exact)
    const found = exact
      ? pages(ports, 'dicomStudies', narrowed, skip.inStore, search)
      : studyPages(ports, narrowed, keys, search)
    for await (const page of found) {
      const matches: DicomMatch[] = []
      for (const study of page) {
        const values = studyValues(study, open(study))
        if (fits(values, keys) && skip.pass()) matches.push({ values, study, series: undefined, instance: undefined })
      }
      if (search.counts !== false) await countStudies(matches)
      yield* matches
    }
  }

  async function* series(search: Search): AsyncGenerator<DicomMatch, void, undefined> {
    const keys = search.byLevel.SERIES
    const own = narrowSeries(keys)
    for await (const { where, skip } of underParents(search, own, studies, 'study')) {
      for await (const page of pages(ports, 'dicomSeries', { where }, skip.inStore, search)) {
        const parents = await parentsOf(page)
        const matches: DicomMatch[] = []
        for (const doc of page) {
          const parent = parents.get(doc.study)
          if (search.site !== undefined && doc.site !== search.site) continue
          const values = { ...parent?.values, ...open(doc) }
          if (fits(values, keys) && skip.pass())
            matches.push({ values, study: parent?.study, series: doc, instance: undefined })
        }
        if (search.counts !== false) await countSeries(matches)
        yield* matches
      }
    }
  }

  async function* instances(search: Search): AsyncGenerator<DicomMatch, void, undefined> {
    const keys = search.byLevel.IMAGE
    const own = narrowInstances(keys)
    for await (const { where, skip } of underParents(search, own, series, 'series')) {
      for await (const page of pages(ports, 'dicomInstances', { where }, skip.inStore, search)) {
        const parents = await seriesOf(page)
        for (const doc of page) {
          if (search.site !== undefined && doc.site !== search.site) continue
          const parent = parents.get(doc.series)
          const values = { ...parent?.values, ...instanceValues(doc) }
          if (fits(values, keys) && skip.pass())
            yield { values, study: parent?.study, series: parent?.series, instance: doc }
        }
      }
    }
  }

  /** Filters to look under: one for all where no level above is asked about, otherwise one for each few parents. */
  async function* underParents(
    search: Search,
    own: Narrowed,
    above: Lookup,
    field: 'study' | 'series',
  ): AsyncGenerator<{ where: Filter; skip: Skipper }, void, undefined> {
    const { PATIENT, STUDY, SERIES } = search.byLevel
    const asked = PATIENT.length + STUDY.length + (field === 'series' ? SERIES.length : 0)
    if (asked === 0) {
      const exact = own.exact && search.site === undefined
      yield { where: own.where, skip: skipper(search.offset, exact) }
      return
    }
    const { limit: _, ...rest } = search
    const parents = above({ ...rest, offset: 0, counts: false })
    const skip = skipper(search.offset, false)
    for await (const batch of batches(parents)) {
      const found = batch.map(match => (field === 'study' ? match.study?.id : match.series?.id) ?? '')
      const [only = ''] = found
      const where: Filter = { ...own.where, [field]: found.length === 1 ? only : { in: found } }
      yield { where, skip }
    }
  }

  interface Parent {
    values: IndexedValues
    study: DicomStudyDoc | undefined
    series?: DicomSeriesDoc
  }

  async function parentsOf(page: readonly { study: string }[]): Promise<Map<string, Parent>> {
    const found = await documents.getMany('dicomStudies', [...new Set(page.map(({ study }) => study))])
    return new Map(found.map(study => [study.id, { study, values: studyValues(study, open(study)) }]))
  }

  async function seriesOf(page: readonly DicomInstanceDoc[]): Promise<Map<string, Parent>> {
    const found = await documents.getMany('dicomSeries', [...new Set(page.map(each => each.series))])
    const studies = await parentsOf(page)
    return new Map(
      found.map(doc => {
        const above = studies.get(doc.study)
        return [doc.id, { study: above?.study, series: doc, values: { ...above?.values, ...open(doc) } }]
      }),
    )
  }

  async function countStudies(matches: readonly DicomMatch[]): Promise<void> {
    if (matches.length === 0) return
    const under = { study: { in: matches.map(({ study }) => study?.id ?? '') } }
    const [seriesCount, instanceCount] = await Promise.all([
      documents.countBy('dicomSeries', 'study', under),
      documents.countBy('dicomInstances', 'study', under),
    ])
    for (const { study, values } of matches) {
      values['00201206'] = [seriesCount[study?.id ?? ''] ?? 0]
      values['00201208'] = [instanceCount[study?.id ?? ''] ?? 0]
    }
  }

  async function countSeries(matches: readonly DicomMatch[]): Promise<void> {
    if (matches.length === 0) return
    const under = { series: { in: matches.map(each => each.series?.id ?? '') } }
    const count = await documents.countBy('dicomInstances', 'series', under)
    for (const each of matches) each.values['00201209'] = [count[each.series?.id ?? ''] ?? 0]
  }

  /** Patients are told apart by pseudonym; a study without an id of its patient is a patient of its own. */
  async function* patients(search: Search): AsyncGenerator<DicomMatch, void, undefined> {
    const { limit: _, ...rest } = search
    const seen = new Set<string>()
    const skip = skipper(search.offset, false)
    for await (const match of studies({ ...rest, offset: 0, counts: false })) {
      const { study } = match
      if (study === undefined) continue
      const who = study.patient ?? study.id
      if (seen.has(who)) continue
      seen.add(who)
      if (!skip.pass()) continue
      if (search.counts !== false && study.patient !== null) {
        const count = await documents.countBy('dicomStudies', 'patient', { patient: study.patient })
        match.values['00201200'] = [count[study.patient] ?? 0]
      }
      yield match
    }
  }

  return { PATIENT: patients, STUDY: studies, SERIES: series, IMAGE: instances }
}

interface Skipper {
  /** Matches that the store itself passes over. */
  readonly inStore: number
  /** Whether the next match is past those to be passed over. */
  pass(): boolean
}

/** Passes over matches: in the store, where what it finds is what matches, or else one by one. */
function skipper(offset = 0, exact: boolean): Skipper {
  let left = exact ? 0 : offset
  return { inStore: exact ? offset : 0, pass: () => left === 0 || left-- <= 0 }
}

function studyValues(study: DicomStudyDoc, values: IndexedValues): IndexedValues {
  const modalities = modalitiesOf(study.modalities)
  return { ...values, '00080056': ['ONLINE'], ...(modalities.length > 0 && { '00080061': modalities }) }
}

const instanceValues = (doc: DicomInstanceDoc): IndexedValues => ({ ...doc.values, '00083002': [doc.transferSyntax] })

async function* batches(matches: AsyncIterable<DicomMatch>): AsyncGenerator<DicomMatch[], void, undefined> {
  let batch: DicomMatch[] = []
  for await (const match of matches) {
    batch.push(match)
    if (batch.length < parentsAtOnce) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}
