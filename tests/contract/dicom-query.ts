/** What QIDO-RS and C-FIND rest on, for every document store. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { DicomInstanceDoc, DicomSeriesDoc, DicomStudyDoc } from '../../schemas/dicom-index.ts'
import {
  attributesOf,
  createDicomIndex,
  type DicomIndex,
  type DicomQuery,
  markOf,
  studyDigests,
} from '../../storage/dicom-query.ts'
import type { DocumentStore } from '../../storage/documents.ts'
import type { Secrets } from '../../storage/secrets.ts'

/** Reversible, and says what it is of: not a secret, but it shows which of the two a store was given. */
const secrets: Pick<Secrets, 'seal' | 'open' | 'digest'> = {
  digest: (kind, text) => `${kind}:${Buffer.from(text).toString('hex')}`,
  seal: (plain, context) => Buffer.from(`${context} ${plain}`).toString('base64'),
  open: (sealed, context) =>
    Buffer.from(sealed, 'base64')
      .toString()
      .slice(context.length + 1),
}

const patients = [
  { id: 'P0', name: 'Doe^John', ideographic: undefined },
  { id: 'P1', name: 'Doe^Jane', ideographic: undefined },
  { id: 'P2', name: 'Yamada^Tarou', ideographic: '山田^太郎' },
]

/** Forty studies of three patients, a day apart; each of a CT series of three and, every fourth, an SR of one. */
function documents(site: string) {
  const studies: DicomStudyDoc[] = []
  const series: DicomSeriesDoc[] = []
  const instances: DicomInstanceDoc[] = []
  for (let n = 0; n < 40; n++) {
    const patient = patients[n % 3] ?? { id: '', name: '', ideographic: undefined }
    const id = `${site}-st${n}`
    const uid = `1.${n}`
    const day = n === 39 ? undefined : 20240101 + n
    const both = n % 4 === 0
    const values = {
      '00100010': [
        { Alphabetic: patient.name, ...(patient.ideographic !== undefined && { Ideographic: patient.ideographic }) },
      ],
      '00100020': [patient.id],
      '00080050': [`ACC${n}`],
      '0020000D': [uid],
      '00081030': [n % 2 === 0 ? 'CHEST routine' : 'HEAD'],
      ...(day !== undefined && { '00080020': [String(day)] }),
    }
    const sealed = secrets.seal(JSON.stringify(values), id)
    studies.push({
      id,
      site,
      at: day === undefined ? 0 : day * 1_000_000,
      uid,
      patient: `pt${n % 3}`,
      patientId: studyDigests.patientId(secrets, patient.id),
      family: studyDigests.family(secrets, patient.name),
      accession: studyDigests.accession(secrets, `ACC${n}`),
      modalities: both ? '\\CT\\SR\\' : '\\CT\\',
      sealed,
      // Every third as it was before there were marks.
      ...(n % 3 !== 0 && { mark: markOf(sealed) }),
    })
    for (const [number, modality, images] of [[1, 'CT', 3] as const, ...(both ? [[2, 'SR', 1] as const] : [])]) {
      const seriesId = `${id}-se${number}`
      const said = { '0020000E': [`${uid}.${number}`], '00080060': [modality], '00200011': [number] }
      const sealed = secrets.seal(JSON.stringify(said), seriesId)
      series.push({ id: seriesId, site, at: number, uid: `${uid}.${number}`, study: id, modality, sealed })
      for (let image = 1; image <= images; image++) {
        const sop = `${uid}.${number}.${image}`
        instances.push({
          id: `${seriesId}-${image}`,
          site,
          at: image,
          uid: sop,
          study: id,
          series: seriesId,
          instance: `in-${sop}`,
          transferSyntax: '1.2.840.10008.1.2.1',
          object: { key: 'k', sha256: 's', bytes: 1 },
          values: { '00080018': [sop], '00080016': ['1.2.840.10008.5.1.4.1.1.2'], '00200013': [image] },
        })
      }
    }
  }
  return { studies, series, instances }
}

export function dicomQueryContract(
  name: string,
  open: () => Promise<{ store: DocumentStore; close(): Promise<void> }>,
) {
  describe(`queries over ${name}`, () => {
    let opened: Awaited<ReturnType<typeof open>>
    let index: DicomIndex
    beforeAll(async () => {
      opened = await open()
      const { studies, series, instances } = documents('main')
      await opened.store.upsert('dicomStudies', studies)
      await opened.store.upsert('dicomSeries', series)
      await opened.store.upsert('dicomInstances', instances)
      index = createDicomIndex({ documents: opened.store, secrets })
    })
    afterAll(() => opened.close())

    const found = async (query: DicomQuery, tag: string) => {
      const answers: unknown[] = []
      for await (const { values } of index.find(query)) answers.push(values[tag]?.[0])
      return answers
    }
    const uids = (keys: Record<string, string>, more: Partial<DicomQuery> = {}) =>
      found({ level: 'STUDY', keys, ...more }, '0020000D')

    it('give all studies, the newest first', async () => {
      expect(await uids({})).toEqual([...Array.from({ length: 39 }, (_, n) => `1.${38 - n}`), '1.39'])
      expect(await uids({}, { site: 'elsewhere' })).toEqual([])
    })

    it.each<[string, Record<string, string>, number[]]>([
      ['a list of UIDs', { StudyInstanceUID: '1.3\\1.5\\1.99' }, [5, 3]],
      ['a day', { StudyDate: '20240105' }, [4]],
      ['a range of days', { StudyDate: '20240105-20240107' }, [6, 5, 4]],
      ['all up to a day, without those of no date', { StudyDate: '-20240102' }, [1, 0]],
      ['a patient and a range', { PatientID: 'P1', StudyDate: '20240101-20240108' }, [7, 4, 1]],
      ['an accession number', { '00080050': 'ACC17' }, [17]],
      ['accession numbers by wild card', { AccessionNumber: 'ACC?' }, [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]],
      ['a whole name, in any case', { PatientName: 'doe^JANE', StudyDate: '-20240105' }, [4, 1]],
      ['a family name and a beginning', { PatientName: 'Doe^J*', StudyDate: '-20240105' }, [4, 3, 1, 0]],
      ['a beginning', { PatientName: 'yam*', StudyDate: '-20240106' }, [5, 2]],
      ['an ideographic name', { PatientName: '山田^太郎', StudyDate: '-20240106' }, [5, 2]],
      ['a modality', { ModalitiesInStudy: 'SR', StudyDate: '-20240109' }, [8, 4, 0]],
      ['any of two modalities', { ModalitiesInStudy: 'SR\\US', StudyDate: '-20240109' }, [8, 4, 0]],
      ['a modality that nobody has', { ModalitiesInStudy: 'US' }, []],
      ['text that is kept sealed', { StudyDescription: 'HEAD', StudyDate: '-20240104' }, [3, 1]],
      ['a patient that nobody is', { PatientID: 'P9' }, []],
    ])('find studies by %s', async (_, keys, expected) => {
      expect(await uids(keys)).toEqual(expected.map(n => `1.${n}`))
    })

    it('pass over matches and stop, whether the store or the sealed text decides', async () => {
      for (const keys of [{}, { PatientID: 'P0' }, { PatientName: 'Doe*' }, { ModalitiesInStudy: 'C*' }]) {
        const all = await uids(keys)
        expect(all.length).toBeGreaterThan(10)
        expect(await uids(keys, { offset: 4, limit: 5 })).toEqual(all.slice(4, 9))
        expect(await uids(keys, { offset: all.length })).toEqual([])
      }
    })

    it('look again at what changed since it was held', async () => {
      const site = 'changing'
      const keys = { PatientName: '*ind*' }
      const asked = { level: 'STUDY', keys, site, limit: 1 } as const
      const write = (n: number, name: string) => {
        const id = `changing-${n}`
        const sealed = secrets.seal(JSON.stringify({ '00100010': [{ Alphabetic: name }], '0020000D': [`9.${n}`] }), id)
        return opened.store.upsert('dicomStudies', [
          {
            ...{ id, site, at: 100 - n, uid: `9.${n}`, patient: null, patientId: null, family: null },
            ...{ accession: null, modalities: '', sealed, mark: markOf(sealed) },
          },
        ])
      }
      for (let n = 0; n < 9; n++) await write(n, n === 7 ? 'Lindt^Eva' : 'Doe^Eva')
      expect(await found(asked, '0020000D')).toEqual(['9.7'])
      await write(7, 'Doe^Eva')
      await write(5, 'Winder^Eva')
      expect(await found(asked, '0020000D')).toEqual(['9.5'])
      expect(await found({ ...asked, keys: { PatientName: '*Doe*', ModalitiesInStudy: 'CT' } }, '0020000D')).toEqual([])
      for (let n = 0; n < 9; n++) await opened.store.delete('dicomStudies', `changing-${n}`)
    })

    it('count what belongs to a study, a series and a patient', async () => {
      const study = index.find({ level: 'STUDY', keys: { StudyInstanceUID: '1.4' } })
      expect((await study.next()).value).toMatchObject({ values: { '00201206': [2], '00201208': [4] } })
      const series = index.find({ level: 'SERIES', keys: { SeriesInstanceUID: '1.4.1' } })
      expect((await series.next()).value).toMatchObject({ values: { '00201209': [3], '00100020': ['P1'] } })
      expect(await found({ level: 'PATIENT' }, '00201200')).toEqual([13, 13, 14])
    })

    it('give each patient once', async () => {
      expect((await found({ level: 'PATIENT' }, '00100020')).toSorted()).toEqual(['P0', 'P1', 'P2'])
      expect(await found({ level: 'PATIENT', keys: { PatientName: 'DOE*' }, limit: 1, offset: 1 }, '00100020')).toEqual(
        ['P0'],
      )
    })

    it('find series under studies, and of themselves', async () => {
      const series = (keys: Record<string, string>, more: Partial<DicomQuery> = {}) =>
        found({ level: 'SERIES', keys, ...more }, '0020000E')
      expect(await series({ StudyInstanceUID: '1.4' })).toEqual(['1.4.1', '1.4.2'])
      expect((await series({ PatientID: 'P1', Modality: 'SR' })).toSorted()).toEqual(['1.16.2', '1.28.2', '1.4.2'])
      expect(await series({ SeriesInstanceUID: '1.4.2\\1.5.1' })).toHaveLength(2)
      expect(await series({})).toHaveLength(50)
      expect(await series({ StudyDate: '-20240103' }, { offset: 1, limit: 2 })).toHaveLength(2)
    })

    it('find instances under series, and by themselves', async () => {
      const instances = (keys: Record<string, string>, more: Partial<DicomQuery> = {}) =>
        found({ level: 'IMAGE', keys, ...more }, '00080018')
      expect(await instances({ StudyInstanceUID: '1.4', SeriesInstanceUID: '1.4.1' })).toEqual([
        '1.4.1.1',
        '1.4.1.2',
        '1.4.1.3',
      ])
      expect(await instances({ StudyInstanceUID: '1.5', SeriesInstanceUID: '1.4.1' })).toEqual([])
      expect(await instances({ SOPInstanceUID: '1.4.1.2' })).toEqual(['1.4.1.2'])
      expect(await instances({ PatientID: 'P2', InstanceNumber: '3' })).toHaveLength(13)
      expect(await instances({})).toHaveLength(130)
      expect(await instances({}, { offset: 120 })).toHaveLength(10)
    })

    it('answer what the level always has, what was named, and nothing of another level', async () => {
      const { value: match } = await index.find({ level: 'SERIES', keys: { SeriesInstanceUID: '1.4.2' } }).next()
      const values = match?.values ?? {}
      const some = attributesOf(values, { level: 'SERIES', include: ['PatientID', '00081030'] })
      expect(some).toMatchObject({
        '00100020': { vr: 'LO', Value: ['P1'] },
        '00081030': { vr: 'LO', Value: ['CHEST routine'] },
        '00080060': { vr: 'CS', Value: ['SR'] },
        '0008103E': { vr: 'LO' },
      })
      expect(Object.keys(some)).not.toContain('0020000D')
      expect(Object.keys(some)).toEqual(Object.keys(some).toSorted())
      const named = attributesOf(values, { level: 'SERIES', include: ['Modality'], onlyNamed: true })
      expect(named).toEqual({ '00080060': { vr: 'CS', Value: ['SR'] } })
      const above = attributesOf(values, { level: 'SERIES', include: 'all', above: ['PATIENT', 'STUDY'] })
      expect(above).toMatchObject({
        '0020000D': { Value: ['1.4'] },
        '00100010': { Value: [{ Alphabetic: 'Doe^Jane' }] },
      })
    })

    it('narrow nothing by what is only counted, and say so', async () => {
      const counted = [
        ['PATIENT', 'NumberOfPatientRelatedStudies', '00201200', 13],
        ['STUDY', 'NumberOfStudyRelatedSeries', '00201206', 2],
        ['STUDY', 'NumberOfStudyRelatedInstances', '00201208', 4],
        ['SERIES', 'NumberOfSeriesRelatedInstances', '00201209', 3],
      ] as const
      for (const [level, keyword, tag, count] of counted) {
        const keys = {
          PatientID: 'P1',
          ...(level !== 'PATIENT' && { StudyInstanceUID: '1.4' }),
          ...(level === 'SERIES' && { Modality: 'CT' }),
        }
        const asked = (key: Record<string, string>) => ({ level, keys: { ...keys, ...key } })
        // Another number than there are, and something that is no number: neither is looked at.
        for (const value of ['77', '1-5']) {
          expect(await found(asked({ [tag]: value }), tag), keyword).toEqual([count])
          expect(index.unsupported(asked({ [keyword]: value }))).toEqual([keyword])
        }
        // Named to be returned alone, it is.
        for (const value of ['', '*']) expect(index.unsupported(asked({ [tag]: value }))).toEqual([])
      }
    })

    it('are narrowed by what is collected', async () => {
      expect(await uids({ StudyInstanceUID: '1.4', InstanceAvailability: 'ONLINE' })).toEqual(['1.4'])
      expect(await uids({ StudyInstanceUID: '1.4', InstanceAvailability: 'OFFLINE' })).toEqual([])
      const syntax = (AvailableTransferSyntaxUID: string) =>
        found({ level: 'IMAGE', keys: { SOPInstanceUID: '1.4.1.2', AvailableTransferSyntaxUID } }, '00080018')
      expect(await syntax('1.2.840.10008.1.2.1')).toEqual(['1.4.1.2'])
      expect(await syntax('1.2.840.10008.1.2')).toEqual([])
    })

    it('say which keys narrow nothing', () => {
      const keys = { PatientID: 'x', SeriesDescription: 'y', '00189999': 'z' }
      expect(index.unsupported({ level: 'STUDY', keys })).toEqual(['SeriesDescription', '00189999'])
    })
  })
}
