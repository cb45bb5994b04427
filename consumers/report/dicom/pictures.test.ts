/** Pictures and wrapped PDFs for the PACS, made by the stage. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { EmbeddedLog } from '../../../kafka/embedded/log.ts'
import { chestDicom, digitPng } from '../../../producers/simulator/phantoms.ts'
import { ids, uids } from '../../../schemas/ids.ts'
import { type Report, type StudyAssessed, topics } from '../../../schemas/topics.ts'
import { openForTest } from '../../../tests/harness/stage.ts'
import { openLog, openStores, type Stores } from '../../../tests/harness/stores.ts'
import { keepStudy } from '../../../tests/reports/kit.ts'
import { attributesOf, itemsOf } from '../../../tests/reports/objects.ts'
import { studyFormats } from '../formats.ts'
import { reportStage } from '../stage.ts'
import { type StudyFormat, whole } from '../study/format.ts'

let opened: Stores
let stores: Stores & { log: EmbeddedLog }
beforeEach(async () => {
  opened = await openStores()
  stores = { ...opened, log: await openLog(join(opened.folder, 'log')) }
})
afterEach(async () => {
  await stores.log.close()
  await opened.close()
})

const pdf: StudyFormat = {
  name: 'pdf-study',
  contentType: 'application/pdf',
  render: async () => whole(Buffer.from('%PDF-1.7 odd')),
}

async function made(assessed: StudyAssessed, settings: object, showNames = false) {
  const stage = await openForTest(reportStage({ ...studyFormats, 'pdf-study': () => pdf }, []), stores, {
    settings,
    showNames,
  })
  try {
    const events = (await stage.hand(topics.studies, assessed)).map(({ event }) => event as Report)
    const files = await Promise.all(
      events.filter(({ outcome }) => outcome === 'made').map(({ object }) => stores.objects.get(object ?? '')),
    )
    return { events, files, objects: await Promise.all(files.map(file => attributesOf(stores, file))) }
  } finally {
    await stage.close()
  }
}

const files = (count: number, size = 64) =>
  Array.from({ length: count }, (_, i) => chestDicom(900 + i, { study: 9, size }))
const region = { label: 'pneumonia', score: 1, frame: 1, points: [8, 8, 56, 8, 56, 56, 8, 56] }

describe('a picture for the PACS', () => {
  it('is the image with the outline drawn in and the words beside it, filed with its study, and names nobody', async () => {
    const { assessed, instances } = await keepStudy(stores, files(1), { said: () => ({ regions: [region] }) })
    const { events, objects, files: bytes } = await made(assessed, { formats: ['dicom-sc'] }, true)
    expect(events).toMatchObject([
      { format: 'dicom-sc', id: ids.studyReport(assessed.id, 'dicom-sc', instances[0]?.id ?? '') },
    ])
    const [found] = objects
    expect(found?.['00280004']?.Value).toEqual(['RGB'])
    expect(found?.['00280301']?.Value).toEqual(['NO'])
    expect(found?.['0020000D']?.Value).toEqual([instances[0]?.dicom?.study])
    expect(itemsOf(found, '00082112')[0]?.['00081155']?.Value).toEqual([instances[0]?.dicom?.sopInstance])
    const [rows, columns] = [Number(found?.['00280010']?.Value?.[0]), Number(found?.['00280011']?.Value?.[0])]
    expect(columns).toBe(512)
    // As it is stored: the outline's colour is nowhere else in a grey image but in the words above it.
    const pixels = bytes[0]?.subarray(-rows * columns * 3) ?? Buffer.alloc(0)
    const left = (512 - 64) / 2
    const amberIn = (fromRow: number, toRow: number) => {
      let count = 0
      for (let row = fromRow; row < toRow; row++)
        for (let column = left; column < left + 64; column++) {
          const [r = 0, , b = 0] = pixels.subarray((row * columns + column) * 3)
          if (r > 200 && b < 120) count += 1
        }
      return count
    }
    expect(amberIn(50, rows - 40)).toBeGreaterThan(4 * 40)
  })

  it('has what the answer rests on beside the image, and says what that is; without it where it is gone', async () => {
    const magenta = sharp({ create: { width: 32, height: 32, channels: 3, background: '#ff00ff' } })
    const { key } = await stores.objects.put(await magenta.png().toBuffer(), 'image/png')
    const study = { said: (i: number) => ({ label: 'normal', confidence: 0.9, explanation: i === 1 ? key : null }) }
    const { assessed, instances } = await keepStudy(stores, files(3), study)
    const picture = async (language: string) => {
      const { events, files: bytes, objects } = await made(assessed, { formats: ['dicom-sc'], language })
      // Nothing was found: the one image that is explained.
      expect(events.map(({ instance }) => instance)).toEqual([instances[1]?.id])
      const [rows, columns] = [
        Number(objects[0]?.['00280010']?.Value?.[0]),
        Number(objects[0]?.['00280011']?.Value?.[0]),
      ]
      const pixels = bytes[0]?.subarray(-rows * columns * 3) ?? Buffer.alloc(0)
      const at: number[] = []
      for (let i = 0; i < rows * columns; i++)
        if (pixels[3 * i] === 255 && pixels[3 * i + 1] === 0 && pixels[3 * i + 2] === 255) at.push(i % columns)
      return { rows, at }
    }
    const { rows, at } = await picture('en')
    // As large as the image, 64 x 64, at its right: 12 pixels between them, in the middle of 512.
    expect(at).toHaveLength(64 * 64)
    expect([Math.min(...at), Math.max(...at)]).toEqual([(512 - 140) / 2 + 76, (512 - 140) / 2 + 139])
    expect((await picture('fr')).at).toHaveLength(64 * 64)
    await stores.objects.delete(key)
    const without = await picture('en')
    expect(without.at).toEqual([])
    expect(without.rows).toBeLessThan(rows)
  })

  it('is of many frames the one that the model looked at, with what was marked and explained there', async () => {
    const frames = await readFile(new URL('../../../models/fixtures/imaging/explicit-u16-frames.dcm', import.meta.url))
    const magenta = sharp({ create: { width: 24, height: 20, channels: 3, background: '#ff00ff' } })
    const { key } = await stores.objects.put(await magenta.png().toBuffer(), 'image/png')
    const middle = { ...region, frame: 2, points: [2, 2, 10, 2, 10, 10, 2, 10] }
    const { assessed, instances } = await keepStudy(stores, [frames], {
      said: () => ({ regions: [middle], explanation: key }),
    })
    const { files: bytes, objects } = await made(assessed, { formats: ['dicom-sc'] })
    const [height, width] = ['00280010', '00280011'].map(tag => Number(objects[0]?.[tag]?.Value?.[0]))
    const raw = { width: width ?? 0, height: height ?? 0, channels: 3 } as const
    const drawn = sharp(bytes[0]?.subarray(-raw.width * raw.height * 3), { raw })
    const { data } = await drawn.clone().raw().toBuffer({ resolveWithObject: true })
    const isMagenta = (i: number) => data[3 * i] === 255 && data[3 * i + 1] === 0 && data[3 * i + 2] === 255
    const first = Array.from({ length: raw.width * raw.height }, (_, i) => i).find(isMagenta) ?? 0
    // The image is 24 x 20, and stands 12 pixels at the left of its explanation.
    const [left, top] = [(first % raw.width) - 36, Math.floor(first / raw.width)]
    const part = (at: { left: number; top: number; width: number; height: number }) =>
      drawn
        .clone()
        .extract({ ...at, left: at.left + left, top: at.top + top })
        .raw()
        .toBuffer()
    const outlined = await part({ left: 0, top: 0, width: 12, height: 12 })
    expect(
      outlined.filter((red, i) => i % 3 === 0 && red > 200 && (outlined[i + 2] ?? 255) < 120).length,
    ).toBeGreaterThan(20)
    const free = { left: 14, top: 0, width: 10, height: 20 }
    const shownOf = async (frame: number) => {
      const preview = await stores.images.preview(instances[0]?.object ?? expect.unreachable(), { frame })
      return sharp(preview).toColourspace('srgb').removeAlpha().extract(free).raw().toBuffer()
    }
    const shown = await part(free)
    expect(shown.equals(await shownOf(2))).toBe(true)
    expect(shown.equals(await shownOf(1))).toBe(false)
  })

  it('is made of what is found first, of no more than are asked for, and of none without an image', async () => {
    const { assessed, instances } = await keepStudy(stores, files(4))
    const settings = { formats: ['dicom-sc'], captures: 2 }
    const { events } = await made(assessed, settings)
    const first = assessed.findings[0]?.instances.slice(0, 2) ?? []
    expect(events.map(({ id }) => id)).toEqual(first.map(id => ids.studyReport(assessed.id, 'dicom-sc', id)))
    const plain = await keepStudy(stores, [await digitPng(1)])
    expect(
      (await made(plain.assessed, { formats: ['dicom-sc', 'dicom-sr', 'dicom-seg', 'dicom-pdf'] })).events,
    ).toEqual([])
    await stores.objects.delete(instances.find(({ id }) => id === first[0])?.object.key ?? '')
    const gone = await made(assessed, settings)
    expect(gone.objects[0]?.['00280010']?.Value?.[0]).toBeGreaterThan(100)
  })

  it('names the models that said something of its image, and no others', async () => {
    const other = { name: 'nodules', version: '2.0.0', digest: 'e'.repeat(64), runtime: 'onnx' }
    const { assessed, instances } = await keepStudy(stores, files(3), {
      said: i => [{}, { model: other, explanation: 'none' }, null][i] ?? null,
    })
    const [finding = expect.unreachable()] = assessed.findings
    // A finding of the study may name an image whose answer is not here any more.
    const findings = instances.map(({ id }, i) => ({
      ...finding,
      model: i === 1 ? 'nodules@2.0.0' : 'chest@1.0.0',
      instances: [id],
    }))
    const { objects } = await made({ ...assessed, findings }, { formats: ['dicom-sc'] })
    const equipment = objects.map(one => itemsOf(one, '0018A001').map(item => item['00181002']?.Value?.[0]))
    const chest = uids.model('chest', '1.0.0', 'd'.repeat(64))
    expect(equipment).toEqual([[chest], [uids.model('nodules', '2.0.0', other.digest)], []])
    expect(objects.map(one => '0018A001' in one)).toEqual([true, true, false])
  })

  it('is the same to the byte when the study comes again', async () => {
    const { assessed } = await keepStudy(stores, files(1), {
      said: () => ({ label: '<b>&"\u0000 肺炎', regions: [region] }),
    })
    const settings = { formats: ['dicom-sc', 'dicom-seg', 'dicom-sr', 'dicom-pdf'] }
    const objectsOf = async () => (await made(assessed, settings)).events.map(({ object }) => object)
    const first = await objectsOf()
    expect(first).toHaveLength(4)
    expect(await objectsOf()).toEqual(first)
  })
})

describe('a PDF for the PACS', () => {
  it('holds the report for people, though that is not among the formats, and says whether it names anyone', async () => {
    const { assessed } = await keepStudy(stores, files(2))
    const { events, objects, files: bytes } = await made(assessed, { formats: ['dicom-pdf'] })
    expect(events.map(({ format }) => format)).toEqual(['dicom-pdf'])
    expect(bytes[0]?.includes('%PDF-1.7 odd')).toBe(true)
    const [found] = objects
    expect(found?.['00420015']?.Value).toEqual(['%PDF-1.7 odd'.length])
    expect(found?.['00280301']?.Value).toEqual(['NO'])
    expect(itemsOf(found, '00420013')).toHaveLength(2)
    const named = await made(assessed, { formats: ['dicom-pdf'] }, true)
    expect(named.objects[0]?.['00280301']?.Value).toEqual(['YES'])
  })

  it('of a later revision names the one that it takes the place of', async () => {
    const { assessed } = await keepStudy(stores, files(1))
    await made(assessed, { formats: ['dicom-pdf'] })
    const second = { ...assessed, id: ids.studyRevision(assessed.study, 2), revision: 2 }
    const { objects } = await made(second, { formats: ['dicom-pdf'] })
    const before = itemsOf(itemsOf(itemsOf(objects[0], '0040A360')[0], '00081115')[0], '00081199')
    expect(before[0]?.['00081155']?.Value).toEqual([uids.report(assessed.study, 1, 'dicom-pdf', null)])
  })
})
