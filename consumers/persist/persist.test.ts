import { readdir, readFile } from 'node:fs/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ids } from '../../schemas/ids.ts'
import { type Instance, type Parked, topics } from '../../schemas/topics.ts'
import { createDicomIndex, type DicomMatch, type DicomQuery } from '../../storage/dicom-query.ts'
import { anInstance, aPrediction, aReport } from '../../tests/gateway/samples.ts'
import { aDicom } from '../../tests/harness/small-dicom.ts'
import { type OpenedStage, openForTest } from '../../tests/harness/stage.ts'
import { openStores, type Stores } from '../../tests/harness/stores.ts'
import { persist } from './stage.ts'

let stores: Stores
let stage: OpenedStage
beforeEach(async () => {
  stores = await openStores()
  stage = await openForTest(persist, stores)
})
afterEach(async () => {
  await stage.close()
  await stores.close()
})

const dicom = { sopClass: '1', sopInstance: '1.2.3.4', series: '1.2.3.1', study: '1.2.3', transferSyntax: '1' }

async function storedInstance(n: number, bytes: Buffer, patientId = '12345'): Promise<Instance> {
  const object = await stores.objects.put(bytes, 'application/dicom')
  const patient = stores.secrets.pseudonym('main', { patientId, issuer: null })
  return anInstance(n, { object, dicom, patient, study: 'st_1' })
}

async function nameOf(pseudonym: string | null): Promise<unknown> {
  const kept = await stores.documents.get('patients', pseudonym ?? '')
  return kept && JSON.parse(stores.secrets.open(kept.sealed, kept.id))
}

describe('an instance', () => {
  it('is kept with its study, and its patient sealed under the pseudonym', async () => {
    const instance = await storedInstance(1, aDicom())
    await stage.hand(topics.instances, instance)
    expect(await stores.documents.get('instances', instance.id)).toEqual(instance)
    expect(await stores.documents.get('studies', 'st_1')).toMatchObject({
      site: 'main',
      studyUid: '1.2.3',
      patient: instance.patient,
      firstAt: instance.receivedAt,
      lastAt: instance.receivedAt,
    })
    expect(await nameOf(instance.patient)).toMatchObject({ name: 'Canary^Carla', patientId: '12345', sex: 'F' })
  })

  it('leaves no name that can be read in any file of the document store', async () => {
    await stage.hand(topics.instances, await storedInstance(1, aDicom({ name: 'Canary^Carla' })))
    for (const file of await readdir(stores.folder, { withFileTypes: true })) {
      if (!file.isFile()) continue
      const bytes = await readFile(`${file.parentPath}/${file.name}`)
      expect(bytes.includes('Canary'), file.name).toBe(false)
    }
  })

  it('handled twice writes the same again', async () => {
    const instance = await storedInstance(1, aDicom())
    await stage.hand(topics.instances, instance)
    const study = await stores.documents.get('studies', 'st_1')
    const sealed = await stores.documents.get('patients', instance.patient ?? '')
    await stage.hand(topics.instances, instance, { attempt: 2 })
    expect(await stores.documents.get('studies', 'st_1')).toEqual(study)
    expect(await stores.documents.get('patients', instance.patient ?? '')).toEqual(sealed)
    expect(await stores.documents.count('instances')).toBe(1)
  })

  it('of a SOP instance UID that has another content is kept beside it, and takes its place nowhere', async () => {
    const first = await storedInstance(1, aDicom())
    const other = await storedInstance(2, aDicom({ name: 'Canary^Other' }))
    for (const instance of [first, other, first]) await stage.hand(topics.instances, instance)
    expect(await stores.documents.count('instances')).toBe(2)
    expect((await stores.documents.find('dicomInstances')).items).toMatchObject([
      { instance: first.id, object: { sha256: first.object.sha256 } },
    ])
    for (const { object } of [first, other]) expect((await stores.objects.get(object.key)).length).toBe(object.bytes)
  })

  it('widens the time of its study and never narrows it, in whatever order they come', async () => {
    for (const at of [500, 900, 100, 700]) {
      await stage.hand(topics.instances, anInstance(at, { study: 'st_1', receivedAt: at }))
    }
    expect(await stores.documents.get('studies', 'st_1')).toMatchObject({ firstAt: 100, lastAt: 900 })
  })

  it('tells its study what the ones before did not know, and takes nothing from it', async () => {
    await stage.hand(topics.instances, anInstance(1, { study: 'st_1', modality: null, bodyPart: 'CHEST' }))
    await stage.hand(topics.instances, anInstance(2, { study: 'st_1', modality: 'CT', bodyPart: null }))
    await stage.hand(topics.instances, anInstance(3, { study: 'st_1', modality: 'SR', bodyPart: 'HEAD' }))
    expect(await stores.documents.get('studies', 'st_1')).toMatchObject({ modality: 'CT', bodyPart: 'CHEST' })
  })

  it('has its patient read where a long header stands before the name', async () => {
    const instance = await storedInstance(1, aDicom({ before: 700_000 }))
    await stage.hand(topics.instances, instance)
    expect(await nameOf(instance.patient)).toMatchObject({ name: 'Canary^Carla' })
  })

  it('is refused where the header is longer than the limit', async () => {
    const small = await openForTest(persist, stores, { settings: { headBytes: 1024, maxHeadBytes: 4096 } })
    const instance = await storedInstance(1, aDicom({ before: 700_000 }))
    await expect(small.hand(topics.instances, instance)).rejects.toMatchObject({ code: 'too-large' })
    await small.close()
  })

  it('whose object is gone is not brought back as a document', async () => {
    const instance = await storedInstance(1, aDicom())
    await stores.objects.delete(instance.object.key)
    await expect(stage.hand(topics.instances, instance)).rejects.toMatchObject({ code: 'object-missing' })
    expect(await stores.documents.count('instances')).toBe(0)
    expect(await stores.documents.count('studies')).toBe(0)
  })

  it('without a patient needs no object', async () => {
    await stage.hand(topics.instances, anInstance(1))
    expect(await stores.documents.count('instances')).toBe(1)
    expect(await stores.documents.count('patients')).toBe(0)
  })
})

describe('the header of a patient', () => {
  it('is read once for each of many images, however many are handled at once, and the patient looked up once', async () => {
    let reads = 0
    let lookups = 0
    const range: Stores['objects']['range'] = (...wanted) => {
      reads += 1
      return stores.objects.range(...wanted)
    }
    const get: Stores['documents']['get'] = (collection, id) => {
      if (collection === 'patients') lookups += 1
      return stores.documents.get(collection, id)
    }
    const objects = { ...stores.objects, range }
    const counted = await openForTest(persist, { ...stores, objects, documents: { ...stores.documents, get } })
    const all = await Promise.all(
      Array.from({ length: 40 }, (_, i) => storedInstance(i, aDicom({ uid: `1.2.3.4.${i}` }))),
    )
    await Promise.all(all.map(instance => counted.hand(topics.instances, { ...instance, study: instance.id })))
    expect({ reads, lookups }).toEqual({ reads: 40, lookups: 1 })
    expect(await stores.documents.count('instances')).toBe(40)
    await counted.close()
  })

  it('that could not be read for one image is read from the next', async () => {
    const gone = await storedInstance(1, aDicom({ uid: '1.2.3.4.1' }))
    const there = await storedInstance(2, aDicom({ uid: '1.2.3.4.2' }))
    await stores.objects.delete(gone.object.key)
    const outcomes = await Promise.allSettled([gone, there].map(instance => stage.hand(topics.instances, instance)))
    expect(outcomes.map(outcome => outcome.status)).toEqual(['rejected', 'fulfilled'])
    expect(await nameOf(there.patient)).toMatchObject({ name: 'Canary^Carla' })
  })

  it('is read again after the patient was erased and a new image came, once the memory of it is old', async () => {
    let now = 0
    const clock = { now: () => now, sleep: () => Promise.resolve() }
    const clocked = await openForTest(persist, stores, { clock, settings: { knownPatientMs: 1000 } })
    const first = await storedInstance(1, aDicom())
    await clocked.hand(topics.instances, first)
    await stores.documents.delete('patients', first.patient ?? '')
    now = 999
    await clocked.hand(topics.instances, await storedInstance(2, aDicom({ uid: '1.2.3.4.2' })))
    expect(await nameOf(first.patient)).toBeUndefined()
    now = 1000
    await clocked.hand(topics.instances, await storedInstance(3, aDicom({ uid: '1.2.3.4.3' })))
    expect(await nameOf(first.patient)).toMatchObject({ name: 'Canary^Carla' })
    await clocked.close()
  })

  it('keeps two sites with the same patient id apart', async () => {
    const object = await stores.objects.put(aDicom(), 'application/dicom')
    for (const site of ['north', 'south']) {
      const patient = stores.secrets.pseudonym(site, { patientId: '12345', issuer: null })
      const sopInstance = ids.instance(site, '1.2.3.4', object.sha256)
      await stage.hand(topics.instances, anInstance(1, { id: sopInstance, site, object, dicom, patient }))
    }
    expect(await stores.documents.countBy('patients', 'site')).toEqual({ north: 1, south: 1 })
  })
})

describe('the index of queries', () => {
  const answer = async (query: DicomQuery) => {
    const found: DicomMatch[] = []
    for await (const match of createDicomIndex(stores).find(query)) found.push(match)
    return found
  }

  it('finds a study by what its images say, with nothing of it readable in a document', async () => {
    const instance = await storedInstance(1, aDicom())
    await stage.hand(topics.instances, { ...instance, modality: 'OT' })
    for (const keys of [{ PatientName: 'canary*' }, { PatientName: 'Canary^Carla' }, { PatientID: '12345' }]) {
      const [match, ...rest] = await answer({ level: 'STUDY', keys })
      expect(rest).toEqual([])
      expect(match?.values).toMatchObject({
        '00100010': [{ Alphabetic: 'Canary^Carla' }],
        '00100020': ['12345'],
        '0020000D': ['1.2.3'],
        '00080061': ['OT'],
        '00201206': [1],
        '00201208': [1],
      })
    }
    for (const collection of ['dicomStudies', 'dicomSeries', 'dicomInstances'] as const) {
      const kept = JSON.stringify((await stores.documents.find(collection)).items)
      expect(kept).not.toMatch(/canary|12345"/i)
    }
  })

  it('keeps the first object of a SOP instance and every modality of a study, whatever comes again', async () => {
    const first = await storedInstance(1, aDicom())
    const other = await storedInstance(2, aDicom({ name: 'Other^Name' }))
    await stage.hand(topics.instances, { ...first, modality: 'SR' })
    await stage.hand(topics.instances, { ...other, modality: 'CT' })
    await stage.hand(topics.instances, { ...first, modality: 'SR' }, { attempt: 2 })
    const [image, ...rest] = await answer({ level: 'IMAGE', keys: { SOPInstanceUID: '1.2.3.4' } })
    expect(rest).toEqual([])
    expect(image?.instance).toMatchObject({ instance: first.id, object: { sha256: first.object.sha256 } })
    expect(image?.values).toMatchObject({
      '00280010': [4],
      '00280100': [8],
      '00100010': [{ Alphabetic: 'Canary^Carla' }],
    })
    const [study] = await answer({ level: 'STUDY' })
    expect(study?.values).toMatchObject({ '00080061': ['CT', 'SR'], '00201208': [1] })
  })
})

describe('other events', () => {
  it('are kept by their id: predictions and reports, the newest word of each', async () => {
    await stage.hand(topics.predictions, aPrediction(1))
    await stage.hand(topics.predictions, aPrediction(1, { label: 'other' }))
    await stage.hand(topics.reports, aReport(1))
    await stage.hand(topics.reports, aReport(1, { outcome: 'sent' }))
    expect(await stores.documents.get('predictions', aPrediction(1).id)).toMatchObject({ label: 'other' })
    expect(await stores.documents.get('reports', aReport(1).id)).toMatchObject({ outcome: 'sent' })
  })

  it('that were parked stay as someone decided, when they are read again', async () => {
    const event: Parked = {
      id: ids.parked('infer', 'imaging.instances.v1', 2, 7),
      stage: 'infer',
      topic: 'imaging.instances.v1',
      partition: 2,
      offset: 7,
      key: 'st_1',
      value: Buffer.from([0, 0, 0, 0, 1, 255]),
      headers: { traceparent: '00-1' },
      subject: null,
      code: 'decode-failed',
      message: 'damaged',
      attempts: 1,
      at: 5,
    }
    await stage.hand(topics.parked, event)
    const kept = await stores.documents.get('parked', event.id)
    expect(kept).toEqual({ ...event, value: 'AAAAAAH/', state: 'parked' })
    if (kept) await stores.documents.upsert('parked', [{ ...kept, state: 'retried' }])
    await stage.hand(topics.parked, event, { attempt: 2 })
    expect(await stores.documents.get('parked', event.id)).toMatchObject({ state: 'retried' })
  })

  it('are many at a time', async () => {
    await Promise.all(Array.from({ length: 500 }, (_, i) => stage.hand(topics.predictions, aPrediction(i))))
    expect(await stores.documents.count('predictions')).toBe(500)
  })
})

describe('what was stored before there was an index', () => {
  it('is indexed at a start that asks for it; what is in it already, or gone, is passed over', async () => {
    const all = [1, 2, 3].map(n => aDicom({ uid: `1.2.3.${n}` }))
    for (const [i, bytes] of all.entries()) {
      const instance = await storedInstance(i + 1, bytes)
      const older = { ...instance, dicom: { ...dicom, sopInstance: `1.2.3.${i + 1}` } }
      await stores.documents.upsert('instances', [older])
      if (i === 2) await stores.objects.delete(older.object.key)
    }
    expect(await stores.documents.count('dicomInstances')).toBe(0)
    const again = await openForTest(persist, stores, { settings: { indexOlder: true } })
    const next = aDicom({ uid: '1.2.3.9' })
    const event = await storedInstance(9, next)
    await again.hand(topics.instances, { ...event, dicom: { ...dicom, sopInstance: '1.2.3.9' } })
    await again.close()
    const found = await stores.documents.find('dicomInstances')
    expect(found.items.map(({ uid }) => uid).toSorted()).toEqual(['1.2.3.1', '1.2.3.2', '1.2.3.9'])
  })
})
