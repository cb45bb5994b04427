import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chestDicom } from '../../../../producers/simulator/phantoms.ts'
import type { DicomAttributes } from '../../../../schemas/dicom-json.ts'
import { openStores, type Stores } from '../../../../tests/harness/stores.ts'
import { aContent, anImage } from '../../../../tests/reports/content.ts'
import { keepStudy } from '../../../../tests/reports/kit.ts'
import { attributesOf, itemsOf } from '../../../../tests/reports/objects.ts'
import { dicomSeg } from '../../formats/dicom-seg.ts'
import { gatherStudy } from '../../study/content.ts'
import type { StudyImage, StudyTools } from '../../study/format.ts'
import { referencedOf } from '../common.ts'
import { framesOf } from './frames.ts'
import { geometryOf } from './geometry.ts'
import { emptyFrames, fillOutline } from './raster.ts'
import { segmentation } from './segmentation.ts'

/** Pixels of a frame, one after the other. */
const pixelsIn = (bits: Uint8Array, frame: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => {
    const at = frame * count + i
    return ((bits[at >> 3] ?? 0) >> (at & 7)) & 1
  })

function filled(columns: number, rows: number, points: readonly number[], frame = 0): number[] {
  const bits = emptyFrames(frame + 1, { columns, rows })
  fillOutline(bits, frame, { columns, rows }, points)
  for (let before = 0; before < frame; before++) expect(pixelsIn(bits, before, columns * rows)).not.toContain(1)
  return pixelsIn(bits, frame, columns * rows)
}

describe('an outline as a mask', () => {
  it('has the pixels whose centre lies within', () => {
    expect(filled(5, 4, [1, 1, 4, 1, 4, 3, 1, 3]).join('')).toBe('00000' + '01110' + '01110' + '00000')
  })

  it('has a hole where it crosses itself, and ends at the edges of the image', () => {
    const points = [-9, -9, 99, -9, 99, 99, -9, 99, -9, -9, 1, 1, 1, 2, 2, 2, 2, 1, 1, 1]
    expect(filled(3, 3, points).join('')).toBe('111' + '101' + '111')
  })

  it('is that of testing each pixel by itself, wherever its frame begins', () => {
    const inside = (points: readonly number[], x: number, y: number): boolean => {
      let within = false
      for (let i = 0, j = points.length - 2; i < points.length; j = i, i += 2) {
        const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = [points[i], points[i + 1], points[j], points[j + 1]]
        if (y1 > y !== y2 > y && x < x1 + ((y - y1) / (y2 - y1)) * (x2 - x1)) within = !within
      }
      return within
    }
    const coordinate = fc.double({ min: -3, max: 30, noNaN: true })
    const corner = fc.tuple(coordinate, coordinate)
    fc.assert(
      fc.property(
        fc.array(corner, { minLength: 3, maxLength: 8 }),
        fc.constantFrom(7, 9, 16, 27),
        fc.nat({ max: 2 }),
        (corners, size, frame) => {
          const points = corners.flat()
          for (const [i, set] of filled(size, size, points, frame).entries())
            expect(set).toBe(Number(inside(points, (i % size) + 0.5, Math.floor(i / size) + 0.5)))
        },
      ),
    )
  })

  it('is packed without a gap between frames, the first pixel in the lowest bit', () => {
    const bits = emptyFrames(3, { columns: 3, rows: 1 })
    for (const [frame, from, to] of [
      [0, 0, 1],
      [0, 2, 3],
      [1, 1, 3],
      [2, 0, 2],
    ] as const)
      fillOutline(bits, frame, { columns: 3, rows: 1 }, [from, 0, to, 0, to, 1, from, 1])
    expect([...bits]).toEqual([0b11110101, 0])
  })
})

describe('frames with something marked', () => {
  it('lie by image and frame, whatever the order of the regions, at one position for every segment', () => {
    const on = (label: string, frame: number) => ({ label, score: 1, frame, points: [0, 0, 2, 0, 2, 2] })
    const [one, two] = [
      anImage(1, { regions: [on('b', 3), on('a', 1), on('b', 1)] }),
      anImage(2, { regions: [on('a', 2)] }),
    ]
    const { frames } = framesOf(referencedOf([one, two]))
    expect(frames.map(({ segment, of, frame, position }) => [segment, of.image.id, frame, position])).toEqual([
      [1, one.id, 1, 1],
      [1, two.id, 2, 3],
      [2, one.id, 1, 1],
      [2, one.id, 3, 2],
    ])
  })
})

describe('masks of a study', () => {
  const drawn: unknown[] = []
  const { render } = dicomSeg({
    threads: { draw: (_, task) => Promise.resolve(Buffer.from(String(drawn.push(task)))), close: async () => {} },
    ...{ previewPixels: 1, captures: 1, linkBase: null, attachPdf: false, systems: { patients: {}, accessions: null } },
  })
  const tools: StudyTools = {
    signal: new AbortController().signal,
    preview: () => Promise.reject(new Error('not asked for')),
    explanation: () => Promise.reject(new Error('not asked for')),
    header: async () => ({
      attributes: { '00200020': { vr: 'CS', Value: ['L', 'F'] }, '00100010': { vr: 'PN', Value: [] } },
    }),
    rendered: () => Promise.reject(new Error('not asked for')),
  }
  const large = (count: number, labels: number) =>
    Array.from({ length: count }, (_, i): StudyImage => {
      const region = { score: 1, frame: 1, points: [0, 0, 9, 0, 9, 9] }
      const image = anImage(i + 1, {
        regions: Array.from({ length: labels }, (_, k) => ({ ...region, label: `l${k}` })),
      })
      return { ...image, instance: image.instance && { ...image.instance, rows: 4096, columns: 4096 } }
    })

  it.each([
    ['frames of 4096 × 4096', 11, 3],
    ['segments', 1, 33],
  ])('beyond 512 Mi pixels are refused, and nothing is read or drawn: %s', async (_, images, labels) => {
    await expect(render(aContent({ images: large(images, labels) }), tools)).rejects.toMatchObject({
      code: 'too-large',
      message: expect.stringContaining(`33 frames of ${33 * 2 ** 24} pixels`),
    })
    expect(drawn).toEqual([])
  })

  it('beyond 20,000 frames are refused, however small they are', async () => {
    const on = (frame: number) => ({ label: 'l', score: 1, frame, points: [0, 0, 4, 0, 4, 4] })
    const image = anImage(1, { regions: Array.from({ length: 20_001 }, (_, i) => on(i + 1)) })
    const small = { ...image, instance: image.instance && { ...image.instance, rows: 8, columns: 8, frames: 20_001 } }
    await expect(render(aContent({ images: [small] }), tools)).rejects.toMatchObject({
      code: 'too-large',
      message: expect.stringContaining(`20001 frames of ${20_001 * 64} pixels`),
    })
    expect(drawn).toEqual([])
  })

  it('up to that are drawn, with what they need of the headers', async () => {
    expect(await render(aContent({ images: large(32, 1) }), tools)).toHaveLength(1)
    const needed = { '00200020': { vr: 'CS', Value: ['L', 'F'] } }
    expect(drawn).toMatchObject([{ headers: { in_0001: needed, in_00032: needed } }])
    expect(JSON.stringify(drawn[0])).not.toContain('"PN"')
  })
})

describe('where a frame lies', () => {
  const ds = (...values: number[]) => ({ vr: 'DS', Value: values })
  const plane = { '00200032': ds(1, 2, 3) }
  const orientation = { '00200037': ds(1, 0, 0, 0, 1, 0) }
  const measures = { '00280030': ds(0.5, 0.6), '00180050': ds(2) }
  const space: DicomAttributes = { '00200052': { vr: 'UI', Value: ['1.2.3'] } }
  const found = {
    frameOfReference: '1.2.3',
    position: [1, 2, 3],
    orientation: [1, 0, 0, 0, 1, 0],
    spacing: [0.5, 0.6],
    thickness: 2,
  }
  const sq = (item: DicomAttributes) => ({ vr: 'SQ', Value: [item] })

  it('is said by a single image itself', () => {
    expect(geometryOf({ ...space, ...plane, ...orientation, ...measures }, 1)).toEqual(found)
  })

  it('is said by the functional groups of a multi-frame image, its own before the shared', () => {
    const header: DicomAttributes = {
      ...space,
      '52009229': sq({
        '00209116': sq(orientation),
        '00289110': sq(measures),
        '00209113': sq({ '00200032': ds(9, 9, 9) }),
      }),
      '52009230': { vr: 'SQ', Value: [{}, { '00209113': sq(plane) }] },
    }
    expect(geometryOf(header, 2)).toEqual(found)
    expect(geometryOf(header, 1)?.position).toEqual([9, 9, 9])
  })

  it('is not known of a radiograph', () => {
    expect(geometryOf({ ...space, ...measures }, 1)).toBeUndefined()
  })
})

describe('a segmentation', () => {
  let stores: Stores
  beforeAll(async () => {
    stores = await openStores()
  })
  afterAll(() => stores.close())
  const options = { showNames: false, researchUseOnly: true, language: 'en' as const, earlierStudies: 0, codes: {} }

  it('has a frame for each segment on each image that something is marked on', async () => {
    const files = [1, 2].map(seed => chestDicom(seed, { study: 1, size: 32 }))
    const square = (label: string, at: number) => ({
      ...{ label, score: 1, frame: 1 },
      points: [at, at, at + 4, at, at + 4, at + 4, at, at + 4],
    })
    const { assessed } = await keepStudy(stores, files, {
      said: i => ({ regions: i === 0 ? [square('b', 1), square('a', 8), square('b', 20)] : [square('b', 2)] }),
    })
    const content = await gatherStudy(stores, options, assessed, null)
    const headers = Object.fromEntries(
      await Promise.all(
        content.images.map(async ({ id, instance }) => {
          const object = instance?.object ?? { key: '', sha256: '', bytes: 0 }
          return [id, (await stores.images.dicom.header(object, () => '')).attributes] as const
        }),
      ),
    )
    const task = { content, headers, part: 'x', ordinal: 1, version: '0.1.0' }
    const bytes = segmentation(task)
    expect(segmentation(task).equals(bytes)).toBe(true)
    const found = await attributesOf(stores, bytes)
    expect(found['00280008']?.Value).toEqual([3])
    expect(itemsOf(found, '00620002').map(item => item['00620005']?.Value)).toEqual([['a'], ['b']])
    const frames = itemsOf(found, '52009230')
    const segmentsAndImages = frames.map(frame => [
      itemsOf(frame, '0062000A')[0]?.['0062000B']?.Value?.[0],
      itemsOf(itemsOf(frame, '00089124')[0], '00082112')[0]?.['00081155']?.Value?.[0],
    ])
    const [first, second] = content.images.map(({ instance }) => instance?.dicom?.sopInstance)
    const [withThree, withOne] =
      content.images[0]?.said[0]?.prediction.regions.length === 3 ? [first, second] : [second, first]
    expect(segmentsAndImages.toSorted()).toEqual(
      [
        [1, withThree],
        [2, withThree],
        [2, withOne],
      ].sort(),
    )
    expect(found['00200020']?.Value).toEqual(['L', 'F'])
    expect(found['00200052']).toBeUndefined()
    // Each mask lies where its frame says: the pixels of the squares, and no other.
    const packed = bytes.subarray(-(3 * 32 * 32) / 8)
    const marked = (k: number) =>
      Array.from({ length: 32 * 32 }, (_, i) => i).filter(i => {
        const bit = k * 32 * 32 + i
        return ((packed[bit >> 3] ?? 0) >> (bit & 7)) & 1
      })
    const pixels = (...squares: number[]) =>
      squares.flatMap(at => [0, 1, 2, 3].flatMap(row => [0, 1, 2, 3].map(column => (at + row) * 32 + at + column)))
    const expected = new Map([
      [`1 ${withThree}`, pixels(8)],
      [`2 ${withThree}`, pixels(1, 20)],
      [`2 ${withOne}`, pixels(2)],
    ])
    for (const [k, [segment, uid]] of segmentsAndImages.entries())
      expect(marked(k), `${segment} ${uid}`).toEqual(expected.get(`${segment} ${uid}`))
    // Segments on one image have one position, as the second dimension is the image.
    const positionOf = new Map([first, second].map((uid, i) => [uid, i + 1]))
    for (const [k, frame] of frames.entries()) {
      const [segment, uid] = segmentsAndImages[k] ?? []
      const position = positionOf.get(String(uid))
      const [content] = itemsOf(frame, '00209111')
      expect(content?.['00209057']?.Value).toEqual([position])
      expect(content?.['00209157']?.Value).toEqual([segment, position])
    }
  })
})
