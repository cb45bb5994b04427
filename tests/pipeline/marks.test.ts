/** A model that says where and why, in a whole Raylog: from a DICOM file to its mask and its picture in the study's reports. */
import sharp from 'sharp'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { describe as describeImage } from '../../models/imaging/header.ts'
import { columns, isBright, rows, sendMarked, startMarking } from '../harness/marking.ts'
import type { Raylog } from '../harness/raylog.ts'
import { until } from '../harness/until.ts'

let raylog: Raylog
let removeModel: () => void
beforeAll(async () => {
  ;({ raylog, removeModel } = await startMarking(['report.formats=[dicom-sc, dicom-seg]']))
}, 120_000)
afterAll(async () => {
  await raylog?.[Symbol.asyncDispose]()
  removeModel?.()
})

it('has the mask of a model that ran in its SEG, pixel by pixel, and what the answer rests on in its picture', {
  timeout: 120_000,
}, async () => {
  const { instance, predictions } = await sendMarked(raylog)
  const [said] = predictions
  expect(said).toMatchObject({
    label: 'bright',
    regions: [{ label: 'bright', frame: 1, points: [22, 6, 22, 14, 10, 14, 10, 6] }],
    explanation: expect.any(String),
  })

  const explanation = await bytesOf(`/api/v1/predictions/${said?.id}/explanation`)
  expect(await sharp(explanation).metadata()).toMatchObject({ format: 'png', width: columns, height: rows })
  expect(await yellowIn(explanation)).toBe(12 * 8)

  await until('the study is known', async () => (await raylog.post(`/api/v1/studies/${instance.study}/complete`)).ok)
  const [mask, picture] = await Promise.all(['dicom-seg', 'dicom-sc'].map(format => reportOf(instance.study, format)))
  // One frame of one bit a pixel is the end of the file, the first pixel in the lowest bit (PS3.5 8.1.1).
  const bits = mask?.subarray(-(rows * columns) / 8) ?? Buffer.alloc(0)
  const drawn = Array.from({ length: rows * columns }, (_, at) => ((bits[at >> 3] ?? 0) >> (at % 8)) & 1)
  expect(drawn).toEqual(Array.from({ length: rows * columns }, (_, at) => (isBright(at) ? 1 : 0)))

  const { facts } = await describeImage(picture ?? Buffer.alloc(0), true)
  const [height, width] = [facts.rows ?? 0, facts.columns ?? 0]
  const rgb = (picture ?? Buffer.alloc(0)).subarray(-height * width * 3)
  const shown = await sharp(rgb, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer()
  expect(await yellowIn(shown)).toBe(12 * 8)
})

/** Pixels of the colour of what speaks most, over white. */
async function yellowIn(picture: Buffer): Promise<number> {
  const pixels = await sharp(picture).raw().toBuffer()
  let count = 0
  for (let at = 0; at < pixels.length; at += 3)
    if (pixels[at] === 253 && pixels[at + 1] === 255 && pixels[at + 2] === 191) count += 1
  return count
}

const bytesOf = async (path: string) => Buffer.from(await (await raylog.get(path)).arrayBuffer())

async function reportOf(study: string, format: string): Promise<Buffer> {
  const href = await until(`${format} is made`, async () => {
    const response = await raylog.get(`/api/v1/studies/${study}/reports`)
    if (!response.ok) return undefined
    const { items } = (await response.json()) as { items: { format: string; href: string | null }[] }
    return items.find(one => one.format === format)?.href ?? undefined
  })
  return bytesOf(href)
}
