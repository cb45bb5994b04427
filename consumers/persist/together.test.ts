/** Images of a study that waited for each other are kept as they would be one by one. */
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type Instance, topics } from '../../schemas/topics.ts'
import { allOf } from '../../storage/documents.ts'
import { anInstance, aPrediction, aReport } from '../../tests/gateway/samples.ts'
import { aDicom } from '../../tests/harness/small-dicom.ts'
import { type OpenedStage, openForTest } from '../../tests/harness/stage.ts'
import { openStores, type Stores } from '../../tests/harness/stores.ts'
import { persist } from './stage.ts'

const opened: { stores: Stores; stage: OpenedStage }[] = []
async function open() {
  const stores = await openStores()
  const one = { stores, stage: await openForTest(persist, stores) }
  opened.push(one)
  return one
}
let alone: Awaited<ReturnType<typeof open>>
let together: Awaited<ReturnType<typeof open>>
beforeEach(async () => {
  alone = await open()
  together = await open()
})
afterEach(async () => {
  for (const { stage, stores } of opened.splice(0)) {
    await stage.close()
    await stores.close()
  }
})

/** Two series, two modalities, an urgent one, a plain image, and one SOP instance UID with two contents. */
async function images({ stores }: typeof alone): Promise<Instance[]> {
  const uids = ['1', '2', '3', '4', '4']
  const dicoms = uids.map(async (uid, n) => {
    const bytes = aDicom({ name: `Canary^${n}` })
    const dicom = {
      ...{ sopClass: '1', sopInstance: `1.2.3.4.${uid}`, study: '1.2.3', transferSyntax: '1' },
      series: n < 2 ? '1.2.3.1' : '1.2.3.2',
    }
    return anInstance(n, {
      ...{ object: await stores.objects.put(bytes, 'application/dicom'), dicom, study: 'st_1' },
      ...{ modality: n < 2 ? 'CT' : 'SR', priority: n === 3 ? ('stat' as const) : ('routine' as const) },
      ...{ patient: 'pt_1', receivedAt: 1_000 - n, bodyPart: n === 1 ? 'HEAD' : null },
    })
  })
  return [...(await Promise.all(dicoms)), anInstance(9, { study: 'st_1', receivedAt: 5_000 })]
}

const collections = [
  'instances',
  'studies',
  'dicomInstances',
  'worklist',
  'predictions',
  'replayed',
  'reports',
] as const

async function kept({ stores: { documents } }: typeof alone) {
  const all = await Promise.all(collections.map(name => allOf(documents, name, {})))
  const [study] = await allOf(documents, 'dicomStudies', {})
  // What is sealed differs with each seal.
  const series = (await allOf(documents, 'dicomSeries', {})).map(({ id, at, modality }) => ({ id, at, modality }))
  // One write of a line instead of several.
  const documentsAlone = all.map(docs => docs.map(doc => ({ ...doc, version: 0 })))
  return { all: documentsAlone, modalities: study?.modalities, series }
}

it('gives the documents that they give one by one, in the order in which they came', async () => {
  for (const event of await images(alone)) await alone.stage.hand(topics.instances, event)
  await together.stage.handMany(topics.instances, await images(together))
  const predictions = [1, 2].map(n => aPrediction(n, { role: n === 1 ? 'production' : 'replay' }))
  for (const event of predictions) await alone.stage.hand(topics.predictions, event)
  await together.stage.handMany(topics.predictions, predictions)
  const reports = [aReport(1), aReport(2, { destination: 'pacs' })]
  for (const event of reports) await alone.stage.hand(topics.reports, event)
  await together.stage.handMany(topics.reports, reports)
  const was = await kept(alone)
  expect(was.all.map(({ length }) => length)).toEqual([6, 1, 4, 1, 1, 1, 1])
  expect(await kept(together)).toEqual(was)
})

it('shares commits: a study costs as many as one image of it, not as many as it has images', async () => {
  const these = await images(together)
  const before = together.stores.documents.commits()
  await together.stage.handMany(topics.instances, these)
  expect(together.stores.documents.commits() - before).toBeLessThanOrEqual(5)
})

it('keeps none where one cannot be read, and is told of it: each is handed over again alone', async () => {
  const these = await images(together)
  const [, second] = these
  await together.stores.objects.delete(second?.object.key ?? '')
  await expect(together.stage.handMany(topics.instances, these)).rejects.toMatchObject({ code: 'object-missing' })
  expect(await together.stores.documents.count('instances')).toBe(0)
})
