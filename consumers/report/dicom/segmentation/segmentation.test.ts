import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chestDicom } from '../../../../producers/simulator/phantoms.ts'
import type { DicomAttributes } from '../../../../schemas/dicom-json.ts'
import { openStores, type Stores } from '../../../../tests/harness/stores.ts'
import { anImage } from '../../../../tests/reports/content.ts'
import { keepStudy } from '../../../../tests/reports/kit.ts'
import { attributesOf, itemsOf } from '../../../../tests/reports/objects.ts'
import { gatherStudy } from '../../study/content.ts'
import { referencedOf } from '../common.ts'
import { framesOf } from './frames.ts'
import { geometryOf } from './geometry.ts'
import { fillOutline, packBits } from './raster.ts'
import { segmentation } from './segmentation.ts'

describe('an outline as a mask', () => {
  it('has the pixels whose centre lies within', () => {
    const mask = new Uint8Array(5 * 4)
    fillOutline(mask, 5, 4, [1, 1, 4, 1, 4, 3, 1, 3])
    expect([...mask].join('')).toBe('00000' + '01110' + '01110' + '00000')
  })

  it('has a hole where it crosses itself, and ends at the edges of the image', () => {
    const mask = new Uint8Array(3 * 3)
    fillOutline(mask, 3, 3, [-9, -9, 99, -9, 99, 99, -9, 99, -9, -9, 1, 1, 1, 2, 2, 2, 2, 1, 1, 1])
    expect([...mask].join('')).toBe('111' + '101' + '111')
  })

  it('is that of testing each pixel by itself', () => {
    const size = 9
    const inside = (points: readonly number[], x: number, y: number): boolean => {
      let within = false
      for (let i = 0, j = points.length - 2; i < points.length; j = i, i += 2) {
        const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = [points[i], points[i + 1], points[j], points[j + 1]]
        if (y1 > y !== y2 > y && x < x1 + ((y - y1) / (y2 - y1)) * (x2 - x1)) within = !within
      }
      return within
    }
    const coordinate = fc.double({ min: -3, max: 12, noNaN: true })
    fc.assert(
      fc.property(fc.array(fc.tuple(coordinate, coordinate), { minLength: 3, maxLength: 8 }), corners => {
        const points = corners.flat()
        const mask = new Uint8Array(size * size)
        fillOutline(mask, size, size, points)
        for (let i = 0; i < mask.length; i++)
          expect(mask[i]).toBe(Number(inside(points, (i % size) + 0.5, Math.floor(i / size) + 0.5)))
      }),
    )
  })

  it('is packed without a gap between frames, the first pixel in the lowest bit', () => {
    const frames = [new Uint8Array([1, 0, 1]), new Uint8Array([0, 1, 1]), new Uint8Array([1, 1, 0])]
    expect([...packBits(frames)]).toEqual([0b11110101, 0])
  })
})

describe('frames with something marked', () => {
  it('lie by image and frame, whatever the order of the regions, at one position for every segment', () => {
    const on = (label: string, frame: number) => ({ label, score: 1, frame, points: [0, 0, 2, 0, 2, 2] })
    const [one, two] = [
      anImage(1, { regions: [on('b', 3), on('a', 1), on('b', 1)] }),
      anImage(2, { regions: [on('a', 2)] }),
    ]
    const { frames } = framesOf(referencedOf([one, two]), { rows: 2, columns: 2 })
    expect(frames.map(({ segment, of, frame, position }) => [segment, of.image.id, frame, position])).toEqual([
      [1, one.id, 1, 1],
      [1, two.id, 2, 3],
      [2, one.id, 1, 1],
      [2, one.id, 3, 2],
    ])
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
