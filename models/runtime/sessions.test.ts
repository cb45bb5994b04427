/** Sessions over graphs that are not what their manifests say. */
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { modelManifest } from '../manifest.ts'
import { type Changes, type GraphName, graphsFolder, manifestOf } from '../testing.ts'
import { openSession, sizeOn } from './sessions.ts'

const open = (graph: GraphName, changes: Changes = {}, weights = join(graphsFolder, `${graph}.onnx`)) =>
  openSession(
    { manifest: modelManifest.parse(manifestOf(graph, changes)), weights },
    { threads: 1, fetchMs: 1_000, providers: ['cpu'] },
  )

it.each([
  ['weights that are no graph', () => open('mean', {}, import.meta.filename), /cannot load the weights \(cpu: /],
  ['another input than the manifest names', () => open('mean', { input: { name: 'film' } }), /input\.name is film;/],
  ['more or fewer numbers than labels', () => open('classes', { output: { labels: ['red', 'green'] } }), /labels/],
  [
    'the same, which shows only when it runs',
    () => open('untold'),
    /gives 3 numbers for an image; output.labels has 2/,
  ],
])('says that the model is at fault: %s', async (_, opening, message) => {
  await expect(opening()).rejects.toMatchObject({ code: 'model-invalid', message: expect.stringMatching(message) })
})

it('opens those that are', async () => {
  expect(await open('mean')).toMatchObject({ provider: 'cpu', passedOver: [] })
})

it('runs as many images as there are, and on a GPU few sizes of batch, of which none is more than the model takes', () => {
  expect([1, 2, 3, 20].map(images => sizeOn('cpu', images, 20))).toEqual([1, 2, 3, 20])
  expect([1, 2, 3, 4, 5, 9, 17, 20].map(images => sizeOn('cuda', images, 20))).toEqual([1, 2, 4, 4, 8, 16, 20, 20])
})
