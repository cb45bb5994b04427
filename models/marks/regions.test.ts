/** Outlines of masks: exact on the mask's own grid, at their place on the stored image, and bounded whatever the mask is. */
import { describe, expect, it } from 'vitest'
import type { z } from 'zod'
import { decodeFrame } from '../imaging/decode.ts'
import { modelManifest } from '../manifest.ts'
import type { Placement } from '../prepare/placement.ts'
import { wholeOf } from '../prepare/placement.ts'
import { createPreparer } from '../prepare/prepare.ts'
import { makeTensorData } from '../prepare/tensor.ts'
import { dicomFile, holds, manifestOf } from '../testing.ts'
import type { Plane } from './plane.ts'
import { regionsOf } from './regions.ts'

const { shape } = modelManifest
type Mask = Partial<z.input<typeof shape.mask>>

function outline(plane: Plane, mask: Mask = {}, place?: Placement, input: { width: number; height: number } = plane) {
  return regionsOf(plane, {
    mask: shape.mask.unwrap().parse({ name: 'mask', ...mask }),
    input,
    place: place ?? wholeOf(plane.width, plane.height, plane.width, plane.height),
    label: 'bright',
    frame: 3,
  })
}

const planeOf = (width: number, height: number, value: (x: number, y: number) => number): Plane => ({
  width,
  height,
  data: Float32Array.from({ length: width * height }, (_, i) => value(i % width, Math.floor(i / width))),
})

const everything = { smallest: 0, most: 50 }

function areaOf(points: readonly number[]): number {
  let twice = 0
  for (let i = 0, j = points.length - 2; i < points.length; j = i, i += 2)
    twice += (points[j] ?? 0) * (points[i + 1] ?? 0) - (points[i] ?? 0) * (points[j + 1] ?? 0)
  return Math.abs(twice) / 2
}

const boxOf = (points: readonly number[] = []) => {
  const [xs, ys] = [points.filter((_, i) => i % 2 === 0), points.filter((_, i) => i % 2 === 1)]
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)]
}

describe('outlines', () => {
  it('hold exactly the pixels of the mask, whatever its pieces and holes', () => {
    let state = 1
    const random = () => {
      state = (state * 1_103_515_245 + 12_345) % 2 ** 31
      return state / 2 ** 31
    }
    for (let round = 0; round < 150; round += 1) {
      const density = 0.2 + 0.7 * random()
      const plane = planeOf(11, 9, () => (random() < density ? 0.9 : 0.1))
      const regions = outline(plane, everything)
      for (const [at, value] of plane.data.entries()) {
        const within = regions.filter(({ points }) => holds(points, (at % 11) + 0.5, Math.floor(at / 11) + 0.5))
        if (within.length !== (value > 0.5 ? 1 : 0)) expect.fail(`round ${round}, pixel ${at}`)
      }
    }
  })

  it('are of the largest pieces, the largest first, none smaller than is wanted, with their mean probability', () => {
    const sizes = [2, 5, 1, 4]
    const plane = planeOf(8, 8, (x, y) => (y % 2 === 0 && x < (sizes[y / 2] ?? 0) ? 0.6 + 0.1 * x : 0))
    const found = outline(plane, { smallest: 2 / 64, most: 2 })
    expect(found.map(({ points }) => boxOf(points))).toEqual([
      [0, 2, 5, 3],
      [0, 6, 4, 7],
    ])
    expect(found[1]).toMatchObject({ label: 'bright', frame: 3, score: expect.closeTo(0.75, 6) })
    expect(outline(plane, everything)).toHaveLength(4)
  })

  it.each([
    ['nothing', () => 0, []],
    ['everything', () => 1, [[0, 0, 9, 5]]],
    ['one pixel', (x: number, y: number) => (x === 4 && y === 2 ? 1 : 0), [[4, 2, 5, 3]]],
    ['a ring, by its outer border', (x: number, y: number) => (x === 4 && y === 2 ? 0 : 1), [[0, 0, 9, 5]]],
  ])('of %s are as they must be', (_, value, boxes) => {
    const plane = planeOf(9, 5, value)
    const found = outline(plane, everything)
    expect(found.map(({ points }) => boxOf(points))).toEqual(boxes)
    const inside = [...plane.data].filter(one => one > 0).length
    expect(found.reduce((sum, { points }) => sum + areaOf(points), 0)).toBe(inside)
  })

  it('of a single pixel among many are left out unless asked for, and small holes are filled', () => {
    const dot = planeOf(64, 64, (x, y) => (x === 4 && y === 2 ? 1 : 0))
    expect(outline(dot)).toEqual([])
    const [pierced] = outline(planeOf(64, 64, (x, y) => (x === 4 && y === 2 ? 0 : 1)))
    expect(pierced?.points).toEqual([64, 0, 64, 64, 0, 64, 0, 0])
  })

  it('take logits where the manifest says so, and refuse what is no probability', () => {
    expect(
      outline(
        planeOf(2, 2, x => (x === 0 ? -4 : 4)),
        { activation: 'sigmoid' },
      ),
    ).toMatchObject([{ score: expect.closeTo(1 / (1 + Math.exp(-4)), 6) }])
    for (const wrong of [Number.NaN, Number.POSITIVE_INFINITY, 1.5, -3]) {
      const plane = planeOf(2, 2, (x, y) => (x === 1 && y === 1 ? wrong : 0.2))
      expect(() => outline(plane)).toThrow(expect.objectContaining({ code: 'infer-failed' }))
    }
  })

  it('have a bounded number of points, and stay where the border is', () => {
    const [disc] = outline(planeOf(400, 400, (x, y) => (Math.hypot(x - 199.5, y - 199.5) < 180 ? 1 : 0)))
    expect(disc?.points.length).toBeLessThanOrEqual(512)
    for (let at = 0; at < (disc?.points.length ?? 0); at += 2) {
      const [x = 0, y = 0] = disc?.points.slice(at) ?? []
      expect(Math.abs(Math.hypot(x - 200, y - 200) - 180)).toBeLessThan(2)
    }
    expect(areaOf(disc?.points ?? []) / (Math.PI * 180 ** 2)).toBeCloseTo(1, 2)
    const [comb] = outline(
      planeOf(1200, 2, (x, y) => (y === 1 || x % 2 === 0 ? 1 : 0)),
      everything,
    )
    expect(comb?.points.length).toBeGreaterThanOrEqual(6)
    expect(comb?.points.length).toBeLessThanOrEqual(512)
    expect(boxOf(comb?.points)).toEqual([0, 0, 1200, 2])
    const noise = planeOf(512, 512, (x, y) => (((x * 7919 + y * 104_729) ^ (x * y)) % 3 === 0 ? 0 : 1))
    for (const { points } of outline(noise, everything)) expect(points.length).toBeLessThanOrEqual(512)
  })
})

describe('a rectangle of the stored image comes back from the model to where it is', () => {
  const rectangle = { left: 70, top: 40, right: 130, bottom: 90 }
  it.each([
    ['stretch', 32, 32, 240, 120],
    ['stretch', 224, 160, 240, 120],
    ['crop', 32, 32, 240, 120],
    ['crop', 64, 64, 150, 201],
    ['pad', 32, 32, 240, 120],
    ['pad', 96, 64, 160, 221],
    ['digit', 28, 28, 240, 120],
  ] as const)('%s to %i x %i, of an image of %i x %i', async (fit, width, height, columns, rows) => {
    const { left, top, right, bottom } = rectangle
    const isIn = (i: number) => {
      const [x, y] = [i % columns, Math.floor(i / columns)]
      return x >= left && x < right && y >= top && y < bottom
    }
    const { input } = modelManifest.parse(manifestOf('mean', { input: { fit, width, height } }))
    const data = makeTensorData(input, 1)
    const bytes = dicomFile({ rows, columns, sample: i => (isIn(i) ? 255 : 0) })
    const place = createPreparer(input).into(await decodeFrame(bytes), data, 0)
    const plane = { width, height, data: Float32Array.from(data) }
    const found = outline(plane, {}, place)
    expect(found).toHaveLength(1)
    // To a pixel of the input, or one of the image where those are the larger ones.
    const wide = Math.max(1, (place.x.end - place.x.start) / (place.x.to - place.x.from))
    const high = Math.max(1, (place.y.end - place.y.start) / (place.y.to - place.y.from))
    const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = boxOf(found[0]?.points)
    const off = [x1 - left, x2 - right].map(by => by / wide).concat([y1 - top, y2 - bottom].map(by => by / high))
    for (const by of off) expect(Math.abs(by)).toBeLessThanOrEqual(1)

    // And of a mask that is coarser than the input.
    const coarse = planeOf(width / 4, height / 4, (x, y) => plane.data[(y * 4 + 2) * width + x * 4 + 2] ?? 0)
    const [again] = outline(coarse, {}, place, { width, height })
    for (const [i, at] of boxOf(again?.points).entries())
      expect(Math.abs(at - ([left, top, right, bottom][i] ?? 0))).toBeLessThanOrEqual(4 * (i % 2 === 0 ? wide : high))
  })

  it('is cut at the edge of the image, and nothing is marked beside it', () => {
    // 20 x 10 padded to 8 x 8: rows 2 to 5 show it.
    const place = { x: { from: 0, to: 8, start: 0, end: 20 }, y: { from: 2, to: 6, start: 0, end: 10 } }
    const all = outline(
      planeOf(8, 8, () => 1),
      {},
      place,
    )
    expect(all.map(({ points }) => boxOf(points))).toEqual([[0, 0, 20, 10]])
    expect(
      outline(
        planeOf(8, 8, (_, y) => (y < 2 ? 1 : 0)),
        everything,
        place,
      ),
    ).toEqual([])
    // Rows of a coarse mask that are partly beside it end where it ends.
    const coarse = { x: { from: 0, to: 8, start: 0, end: 20 }, y: { from: 1, to: 7, start: 0, end: 15 } }
    const edges = outline(
      planeOf(2, 2, () => 1),
      {},
      coarse,
      { width: 8, height: 8 },
    )
    expect(edges.map(({ points }) => boxOf(points))).toEqual([[0, 0, 20, 15]])
  })
})
