/** Sessions over graphs that are not what their manifests say. */
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { modelManifest } from '../manifest.ts'
import { type Changes, type GraphName, graphsFolder, manifestOf } from '../testing.ts'
import { openSession } from './sessions.ts'

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
