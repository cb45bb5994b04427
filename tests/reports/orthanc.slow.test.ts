/** Reports of a study in which a model marked something, its mask among them, at Orthanc: over DIMSE and over DICOMweb. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { deliver } from '../../consumers/deliver/stage.ts'
import { report } from '../../consumers/report/stage.ts'
import { chestDicom } from '../../producers/simulator/phantoms.ts'
import { platformConfig } from '../../schemas/config.ts'
import { type Instance, type Report, topics } from '../../schemas/topics.ts'
import { hasOrthanc, makeOrthanc, type Orthanc } from '../harness/orthanc.ts'
import { freePort } from '../harness/raylog.ts'
import { openForTest } from '../harness/stage.ts'
import { openLog, openStores } from '../harness/stores.ts'
import { titleOf } from '../harness/tools.ts'
import { until } from '../harness/until.ts'
import { viewerOf, viewerTools } from '../harness/viewer.ts'
import { sharedPath } from '../shared.ts'
import { keepStudy } from './kit.ts'

const { missing } = titleOf('', viewerTools)
const lacks = [...missing, ...(hasOrthanc ? [] : ['orthanc and orthanc-dicomweb'])]

const formats = ['dicom-sr', 'dicom-sc', 'dicom-seg', 'dicom-pdf']
/** Columns 10 to 29 of rows 10 to 19. */
const region = { label: 'pneumonia', score: 0.8, frame: 1, points: [10, 10, 30, 10, 30, 20, 10, 20] }
const pixelsOfRegion = Array.from({ length: 200 }, (_, i) => [10 + (i % 20), 10 + Math.floor(i / 20)])

const series = z.array(
  z.looseObject({
    ...{ ParentStudy: z.string(), Instances: z.array(z.string()) },
    MainDicomTags: z.looseObject({ Modality: z.string(), SeriesInstanceUID: z.string() }),
  }),
)
const references = z.looseObject({
  ReferencedSeriesSequence: z.array(
    z.looseObject({
      SeriesInstanceUID: z.string(),
      ReferencedInstanceSequence: z.array(z.looseObject({ ReferencedSOPInstanceUID: z.string() })),
    }),
  ),
})

describe.skipIf(lacks.length > 0)(
  `reports of what a model marked, at Orthanc${lacks.length > 0 ? ` (skipped: lacks ${lacks.join(', ')})` : ''}`,
  () => {
    let folder: string
    let orthanc: Orthanc
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'raylog-orthanc-'))
      await writeFile(join(folder, 'password'), 'secret\n')
      orthanc = await makeOrthanc(folder, { aeTitle: 'RAYLOG', port: await freePort() })
      await orthanc.start()
    })
    afterAll(async () => {
      await orthanc.stop()
      await rm(folder, { recursive: true })
    })

    /** The study's image, and its reports as they are made and sent. @returns what is written down of the image */
    async function reported(image: Buffer, destination: object): Promise<Instance> {
      await using stack = new AsyncDisposableStack()
      const stores = stack.adopt(await openStores(), opened => opened.close())
      const log = stack.adopt(await openLog(join(stores.folder, 'log')), opened => opened.close())
      const { assessed, instances } = await keepStudy(stores, [image], { said: () => ({ regions: [region] }) })
      const making = await openForTest(report, { ...stores, log }, { settings: { formats } })
      const made = (await making.hand(topics.studies, assessed)).map(({ event }) => event as Report)
      await making.close()
      const dicomweb = { url: `${orthanc.url}/dicom-web`, username: 'someone', passwordFile: join(folder, 'password') }
      const peers = [
        { name: 'pacs', aeTitle: 'ORTHANC', host: '127.0.0.1', port: orthanc.dicomPort, services: [] },
        { name: 'web', dicomweb },
      ]
      const delivering = await openForTest(deliver, stores, {
        settings: { destinations: [destination] },
        network: { peers: platformConfig.parse({ peers }).peers, dicomTls: null },
        publish: async () => [],
      })
      stack.defer(() => delivering.close())
      await orthanc.post('/instances', new Uint8Array(image))
      for (const event of made) await delivering.hand(topics.reports, event)
      const sent = () => stores.documents.count('reportDeliveries', { state: 'sent' })
      await until('all are sent', async () => (await sent()) === formats.length)
      const [instance] = instances
      if (!instance) throw new Error('nothing was kept')
      return instance
    }

    const real = sharedPath('data', 'dicom', 'ct-ref-explicit__CT1_UNC.dcm')

    it.each([
      ['C-STORE', { name: 'pacs', kind: 'dicom', peer: 'pacs' }, real],
      ['STOW-RS', { name: 'web', kind: 'stow', peer: 'web' }, undefined],
    ])('are beside the image by %s, and a viewer shows them', async (way, destination, file) => {
      const image = file ? await readFile(file) : chestDicom(way.length, { size: 128 })
      const source = await reported(image, destination)
      const found = z
        .array(z.string())
        .parse(
          await orthanc.post(
            '/tools/find',
            JSON.stringify({ Level: 'Study', Query: { StudyInstanceUID: source.dicom?.study } }),
          ),
        )
      expect(found).toHaveLength(1)
      const there = series.parse(await orthanc.get(`/studies/${found[0]}/series`))
      const by = new Map(there.map(one => [one.MainDicomTags.Modality, one.Instances]))
      expect([...by.keys()].sort()).toEqual([source.modality, 'DOC', 'OT', 'SEG', 'SR'].sort())
      expect([...by.values()].map(({ length }) => length)).toEqual([1, 1, 1, 1, 1])
      const of = (name: string) => by.get(name)?.[0] ?? ''

      const see = viewerOf(orthanc, folder)
      const mask = await see.picture(of('SEG'))
      expect([mask.width, mask.height]).toEqual([source.columns, source.rows])
      const marked = [...mask.pixels].flatMap((value, i) =>
        value > 0 ? [[i % mask.width, Math.floor(i / mask.width)]] : [],
      )
      expect(marked).toEqual(pixelsOfRegion)
      const seg = references.parse(await orthanc.get(`/instances/${of('SEG')}/simplified-tags`))
      expect(seg).toMatchObject({
        ...{ SegmentationType: 'BINARY', SegmentSequence: [{ SegmentLabel: 'pneumonia' }] },
        ReferencedSeriesSequence: [
          {
            SeriesInstanceUID: source.dicom?.series,
            ReferencedInstanceSequence: [{ ReferencedSOPInstanceUID: source.dicom?.sopInstance }],
          },
        ],
      })

      expect((await see.picture(of('OT'))).contrast).toBeGreaterThan(10)
      expect(await see.pdfText(of('DOC'))).toContain('Found: pneumonia.')
      expect(await see.reportText(of('SR'))).toContain('Finding: Pneumonia (233604007, SCT)')
    })
  },
)
