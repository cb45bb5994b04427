/** What models say beside a label, with real workers: outlines, and a picture of what the answer rests on. */
import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { ask, enginesPerTest, never, type OpenedEngine } from '../tests/harness/engines.ts'
import { modelManifest } from './manifest.ts'
import { readMarks } from './runtime/marks.ts'
import { dicomFile, instanceOf, manifestOf } from './testing.ts'

const { open } = enginesPerTest()

const columns = 48
const rows = 32
/** Dim, but for a rectangle of 12 x 8, its upper left pixel at 10 + shift, 6. */
const bright = (at: number, shift = 0) => {
  const [x, y] = [at % columns, Math.floor(at / columns)]
  return x >= 10 + shift && x < 22 + shift && y >= 6 && y < 14
}
const image = (shift = 0) => dicomFile({ rows, columns, sample: at => (bright(at, shift) ? 255 : 40) })
const put = ({ objects }: OpenedEngine, bytes: Buffer) => objects.put(bytes, 'application/dicom')
const inputs = { width: columns, height: rows }
/** The rectangle is not most of the image. */
const marks = { graph: 'marks', changes: { input: inputs, output: { threshold: 0.1 } } } as const

const pixels = async (picture: Uint8Array | null) => {
  const { data, info } = await sharp(picture ?? Buffer.alloc(0))
    .raw()
    .toBuffer({ resolveWithObject: true })
  const at = (x: number, y: number) => [...data.subarray((y * info.width + x) * 3, (y * info.width + x) * 3 + 3)]
  return { ...info, at }
}

describe('a model that marks and explains', () => {
  it('gives outlines on the stored image, and the image in colours where it speaks for the answer', async () => {
    const opened = await open([marks])
    const { regions, explanation, label, quality } = await ask(opened, 'marks', put(opened, image()))
    expect(label).toBe('bright')
    expect(quality).toEqual([])
    expect(regions).toEqual([
      { label: 'bright', score: expect.closeTo(1, 3), frame: 1, points: [22, 6, 22, 14, 10, 14, 10, 6] },
    ])
    const picture = await pixels(explanation)
    expect(picture).toMatchObject({ format: 'raw', width: columns, height: rows, channels: 3 })
    // Pale yellow where it is highest; where it is lowest the image as it is.
    const [red = 0, , blue = 0] = picture.at(15, 9)
    expect(red - blue).toBeGreaterThan(40)
    expect(new Set(picture.at(40, 25)).size).toBe(1)
  })

  it('marks nothing with a label that is not its answer, but does with one of its own', async () => {
    const own = { ...marks.changes, name: 'own', mask: { name: 'mask', label: 'a thing' }, output: { threshold: 0.9 } }
    const opened = await open([
      { graph: 'marks', changes: { ...marks.changes, output: { threshold: 0.9 } } },
      { graph: 'marks', changes: own },
    ])
    const object = put(opened, image())
    const negative = await ask(opened, 'marks', object)
    expect(negative).toMatchObject({ label: 'dark', regions: [], explanation: expect.any(Uint8Array) })
    expect(await ask(opened, 'own', object)).toMatchObject({ label: 'dark', regions: [{ label: 'a thing' }] })
  })

  it('gives each of many images its own, in whatever batch', async () => {
    const opened = await open([{ graph: 'marks', changes: { ...marks.changes, batch: { max: 4 } } }], { workers: 2 })
    const said = await Promise.all(
      Array.from({ length: 25 }, (_, shift) => ask(opened, 'marks', put(opened, image(shift)))),
    )
    expect(Math.max(...said.map(({ timings }) => timings.batch))).toBeGreaterThan(1)
    for (const [shift, { regions, explanation }] of said.entries()) {
      expect(regions[0]?.points.slice(0, 2)).toEqual([22 + shift, 6])
      const { at } = await pixels(explanation)
      expect(new Set(at(10 + shift, 9)).size).toBe(3)
      expect(new Set(at(9 + shift, 9)).size).toBe(1)
    }
  })

  it('marks the frame that it looked at, draws a large image small, and nothing for background work', async () => {
    const opened = await open([{ graph: 'marks', changes: { output: { threshold: 0.1 } } }])
    const large = dicomFile({ rows: 300, columns: 1200, frames: 3, sample: at => (at % 1200 < 600 ? 255 : 0) })
    const instance = instanceOf(put(opened, large), { rows: 300, columns: 1200, frames: 3 })
    const model = opened.ref('marks')
    const said = await opened.engine.predict(model, instance, { priority: 'routine', signal: never() })
    expect(said.regions).toMatchObject([{ frame: 2, points: [600, 0, 600, 300, 0, 300, 0, 0] }])
    expect(await pixels(said.explanation)).toMatchObject({ width: 512, height: 128 })
    const replayed = await opened.engine.predict(model, instance, { priority: 'background', signal: never() })
    expect(replayed).toMatchObject({ regions: said.regions, explanation: null })
  })

  it('is refused where the graph gives nothing of the kind, and says what it should be', async () => {
    const opened = await open([
      { graph: 'marks', changes: { name: 'absent', mask: { name: 'masks' } } },
      { graph: 'marks', changes: { name: 'scores', explanation: { name: 'scores' } } },
      { graph: 'mean', changes: {} },
    ])
    const found = new Map(opened.engine.list().map(({ ref, state, reason }) => [ref.name, [state, reason]]))
    expect([found.get('absent'), found.get('scores'), found.get('mean')]).toEqual([
      ['failed', 'mask.name is masks; the graph gives scores, mask, explanation'],
      ['failed', expect.stringMatching(/^scores is N x 1; explanation must be N x 1 x h x w/)],
      ['ready', null],
    ])
    const plain = await ask(opened, 'mean', put(opened, image()))
    expect(plain).toMatchObject({ regions: [], explanation: null })
  })
})

it('answers without a picture where what it rests on is not a number, and says so', async () => {
  const manifest = modelManifest.parse(manifestOf('marks', { input: { width: 2, height: 1 } }))
  const answer = {
    ...{ label: 'bright', score: 0.9, threshold: 0.5, confidence: 0.9, probabilities: {} },
    quality: ['near-threshold'],
  }
  const plane = (...data: number[]) => ({ width: 2, height: 1, data: Float32Array.from(data) })
  const seen = {
    place: { x: { from: 0, to: 2, start: 0, end: 2 }, y: { from: 0, to: 1, start: 0, end: 1 } },
    frame: 1,
    shown: {
      image: { width: 2, height: 1, channels: 1 as const, data: Uint8Array.of(10, 200) },
      rows: 1,
      columns: 2,
    },
  }
  const said = (explanation: ReturnType<typeof plane>) =>
    readMarks(answer, { scores: [0.9], mask: plane(1, 0), explanation }, manifest, seen)
  expect(await said(plane(1, Number.NaN))).toEqual({
    answer: { ...answer, quality: ['near-threshold', 'no-explanation'] },
    marks: { regions: [expect.objectContaining({ points: [1, 0, 1, 1, 0, 1, 0, 0] })], explanation: null },
  })
  // The same everywhere: nothing stands out, and the image is as it is.
  const { marks } = await said(plane(-7, -7))
  const { at } = await pixels(marks.explanation)
  expect([at(0, 0), at(1, 0)]).toEqual([
    [10, 10, 10],
    [200, 200, 200],
  ])
})
