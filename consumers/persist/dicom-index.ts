/** The documents that QIDO-RS and C-FIND search, from what an image's header says. The first that came decides what is kept. */
import type { HeaderAttributes } from '../../models/imaging/port.ts'
import {
  type DicomInstanceDoc,
  type DicomSeriesDoc,
  type DicomStudyDoc,
  type IndexedValues,
  indexedAttributes,
  type QueryLevel,
} from '../../schemas/dicom-index.ts'
import { isPersonName } from '../../schemas/dicom-json.ts'
import { ids } from '../../schemas/ids.ts'
import type { Instance } from '../../schemas/topics.ts'
import { markOf, studyDigests } from '../../storage/dicom-query.ts'
import type { DocumentStore } from '../../storage/documents.ts'
import type { Secrets } from '../../storage/secrets.ts'

export interface IndexPorts {
  documents: Pick<DocumentStore, 'get' | 'getMany' | 'insert' | 'upsert'>
  secrets: Pick<Secrets, 'seal' | 'digest'>
}

type Dicom = NonNullable<Instance['dicom']>

/** An instance with what its header says. */
export interface Indexed {
  instance: Instance
  dicom: Dicom
  header: Pick<HeaderAttributes, 'values'>
}

/**
 * Adds instances of one study to the index; twice is once. Events of a study are not handled side by side, so nobody else
 * changes the study between reading and writing it.
 *
 * @returns for each the id of the instance that has its SOP Instance UID already, with other content: that one stays in the index
 */
export async function indexInstances(
  { documents, secrets }: IndexPorts,
  these: readonly [Indexed, ...Indexed[]],
): Promise<(string | undefined)[]> {
  const known = await documents.get('dicomStudies', these[0].instance.study)
  const study = these.reduce(
    (kept, { instance, dicom, header }) =>
      kept ? withModality(kept, instance.modality) : newStudy(secrets, instance, dicom, header.values),
    known,
  )
  const docs = these.map(({ instance, dicom, header }) => instanceDoc(instance, dicom, header.values))
  // Of several images of a series the first describes it.
  const series = new Map(these.toReversed().map(one => [ids.series(one.instance.study, one.dicom.series), one]))
  // All is read before anything is written: a write that fails while something else is awaited would end the process.
  if (known) for (const { id } of await documents.getMany('dicomSeries', [...series.keys()])) series.delete(id)
  // Of two contents of one UID the first that came stays, in whatever order a store takes what is written at once.
  const firsts = new Map(docs.toReversed().map(doc => [doc.id, doc]))
  const isFirst = (doc: DicomInstanceDoc) => firsts.get(doc.id) === doc
  const inserted = docs.map(async doc => isFirst(doc) && (await documents.insert('dicomInstances', doc)))
  const writes: Promise<unknown>[] = [...inserted]
  if (study && study !== known) writes.push(documents.upsert('dicomStudies', [study]))
  for (const one of series.values()) writes.push(documents.insert('dicomSeries', seriesDoc(secrets, one)))
  await Promise.all(writes)
  const isNew = await Promise.all(inserted)
  return Promise.all(
    docs.map(async ({ id, instance }, at) => {
      const first = isNew[at] ? undefined : await documents.get('dicomInstances', id)
      return first && first.instance !== instance ? first.instance : undefined
    }),
  )
}

function newStudy(secrets: IndexPorts['secrets'], instance: Instance, dicom: Dicom, values: IndexedValues) {
  const text = (tag: string): string | undefined => {
    const value = values[tag]?.[0]
    return typeof value === 'string' ? value : undefined
  }
  const name = values['00100010']?.[0] ?? null
  const family = isPersonName(name) ? name.Alphabetic : undefined
  const [patientId, accession] = [text('00100020'), text('00080050')]
  const said = JSON.stringify({ ...only(values, 'PATIENT', 'STUDY'), '0020000D': [dicom.study] })
  const sealed = secrets.seal(said, instance.study)
  const doc: DicomStudyDoc = {
    id: instance.study,
    site: instance.site,
    at: dateTime(text('00080020'), text('00080030')),
    uid: dicom.study,
    patient: instance.patient,
    patientId: patientId === undefined ? null : studyDigests.patientId(secrets, patientId),
    family: family === undefined ? null : studyDigests.family(secrets, family),
    accession: accession === undefined ? null : studyDigests.accession(secrets, accession),
    modalities: '',
    sealed,
    mark: markOf(sealed),
  }
  return withModality(doc, instance.modality)
}

/** The same object where it has the modality already. */
function withModality(study: DicomStudyDoc, modality: string | null): DicomStudyDoc {
  const known = study.modalities.split('\\').filter(each => each !== '')
  if (modality === null || known.includes(modality)) return study
  return { ...study, modalities: `\\${[...known, modality].toSorted().join('\\')}\\` }
}

function seriesDoc(secrets: IndexPorts['secrets'], { instance, dicom, header }: Indexed) {
  const { values } = header
  const id = ids.series(instance.study, dicom.series)
  const { modality } = instance
  const said: IndexedValues = {
    ...only(values, 'SERIES'),
    '0020000E': [dicom.series],
    ...(modality !== null && { '00080060': [modality] }),
  }
  return {
    id,
    site: instance.site,
    at: numberOf(values['00200011']),
    uid: dicom.series,
    study: instance.study,
    modality,
    sealed: secrets.seal(JSON.stringify(said), id),
  } satisfies DicomSeriesDoc
}

function instanceDoc(instance: Instance, dicom: Dicom, values: IndexedValues): DicomInstanceDoc {
  const { key, sha256, bytes } = instance.object
  return {
    id: ids.sopInstance(instance.site, dicom.sopInstance),
    site: instance.site,
    at: numberOf(values['00200013']),
    uid: dicom.sopInstance,
    study: instance.study,
    series: ids.series(instance.study, dicom.series),
    instance: instance.id,
    transferSyntax: dicom.transferSyntax,
    object: { key, sha256, bytes },
    values: { ...only(values, 'IMAGE'), '00080016': [dicom.sopClass], '00080018': [dicom.sopInstance] },
  }
}

function only(values: IndexedValues, ...levels: QueryLevel[]): IndexedValues {
  const kept = indexedAttributes.flatMap(({ tag, level }) => {
    const value = values[tag]
    return value !== undefined && levels.includes(level) ? ([[tag, value]] as const) : []
  })
  return Object.fromEntries(kept)
}

function numberOf(values: IndexedValues[string] | undefined): number {
  const value = values?.[0]
  return typeof value === 'number' && Number.isFinite(value) ? value : 0
}

/** yyyymmddhhmmss; 0 without a date. Also of the forms that older devices wrote (PS3.5 6.2: yyyy.mm.dd, hh:mm:ss). */
function dateTime(date = '', time = ''): number {
  const day = date.replaceAll('.', '')
  if (!/^\d{8}$/.test(day)) return 0
  const [clock = ''] = /^\d{0,6}/.exec(time.replaceAll(':', '')) ?? []
  return Number(day + clock.padEnd(6, '0'))
}
