import { appendFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { modelManifest } from './manifest.ts'
import { graphProblems, manifestProblems } from './manifest-rules.ts'
import { readModels } from './registry.ts'
import { type Changes, type GraphName, graphsFolder, manifestOf, temporaryFolder, writeModel } from './testing.ts'

const write = (root: string, folder: string, graph: GraphName, changes: Changes = {}) =>
  writeModel(root, folder, manifestOf(graph, changes), join(graphsFolder, `${graph}.onnx`))

const read = (folders: string[], only: string[] | null = null) => readModels({ folders, builtIn: false, only })

it('loads every good folder and says of each bad one where and what is wrong', async () => {
  using root = temporaryFolder()
  write(root.path, 'a-good', 'mean')
  write(root.path, 'b-good', 'classes')
  const grown = write(root.path, 'c-grown', 'single')
  appendFileSync(join(grown, 'model.onnx'), 'x')
  const changed = write(root.path, 'd-changed', 'slow', {})
  const { sha256: _, ...weights } = manifestOf('slow').weights
  writeFileSync(
    join(changed, 'model.json'),
    JSON.stringify({ ...manifestOf('slow'), weights: { ...weights, sha256: 'a'.repeat(64) } }),
  )
  const gone = write(root.path, 'e-gone', 'ratio')
  rmSync(join(gone, 'model.onnx'))
  const garbled = write(root.path, 'f-garbled', 'half')
  writeFileSync(join(garbled, 'model.json'), '{ "name": ')
  const unknown = write(root.path, 'g-unknown', 'bytes')
  writeFileSync(join(unknown, 'model.json'), JSON.stringify({ ...manifestOf('bytes'), colour: 'blue' }))
  const twice = write(root.path, 'h-twice', 'mean')
  write(root.path, 'i-outside', 'mean', {
    name: 'outside',
    weights: { ...manifestOf('mean').weights, file: '../x.onnx' },
  })

  const { models, problems } = await read([root.path])
  expect(models.map(model => model.ref.name)).toEqual(['mean', 'classes'])
  const bytes = manifestOf('single').weights.bytes
  expect(problems.map(({ path, reason }) => [path, reason])).toEqual([
    [join(grown, 'model.onnx'), `model.onnx has ${bytes + 1} bytes, model.json says ${bytes}`],
    [join(changed, 'model.onnx'), expect.stringMatching(/^SHA-256 is [0-9a-f]{64}, model.json says a{64}$/)],
    [join(gone, 'model.onnx'), expect.stringContaining('cannot be read')],
    [join(garbled, 'model.json'), expect.stringContaining('cannot be read as JSON')],
    [join(unknown, 'model.json'), expect.stringContaining('colour')],
    [join(twice, 'model.json'), `mean@1 is already in ${join(root.path, 'a-good')}, which is used`],
    [join(root.path, 'i-outside', '../x.onnx'), 'weights.file ../x.onnx leads out of the folder'],
  ])
  for (const problem of problems) expect(problem.remedy).not.toBe('')
})

it('takes a model folder as well as a folder of model folders', async () => {
  using root = temporaryFolder()
  const one = write(root.path, 'one', 'mean')
  expect((await read([one])).models.map(model => model.folder)).toEqual([one])
})

it('reports a folder that does not exist and one that holds no model', async () => {
  using root = temporaryFolder()
  mkdirSync(join(root.path, 'empty'))
  const { problems } = await read([join(root.path, 'empty'), join(root.path, 'missing')])
  expect(problems.map(problem => problem.reason)).toEqual(
    expect.arrayContaining(['there is no model in it', expect.stringContaining('ENOENT')]),
  )
})

it('loads only the models that are named, and refuses a name that is nowhere', async () => {
  using root = temporaryFolder()
  write(root.path, 'a', 'mean')
  write(root.path, 'b', 'classes')
  expect((await read([root.path], ['classes'])).models.map(model => model.ref.name)).toEqual(['classes'])
  await expect(read([root.path], ['classes', 'clases'])).rejects.toMatchObject({
    code: 'config-invalid',
    message: 'models.only names clases; the folders hold: classes, mean',
  })
})

const parsed = (graph: GraphName, changes: Changes) => modelManifest.parse(manifestOf(graph, changes))

it.each<[string, GraphName, Changes, string]>([
  ['a mean for two of three channels', 'classes', { input: { mean: [0, 0] } }, 'input.mean has 2 values'],
  ['three deviations for one channel', 'mean', { input: { std: [1, 1, 1] } }, 'input.std has 3 values'],
  ['an empty range', 'mean', { input: { intensity: { from: 'modality', low: 5, high: 5 } } }, 'high must be above low'],
  ['a digit of another size', 'mean', { input: { fit: 'digit' } }, '"digit" makes grey 28x28'],
  ['the same label twice', 'classes', { output: { labels: ['a', 'a', 'b'] } }, 'a label twice'],
  ['three labels of two', 'mean', { output: { labels: ['a', 'b', 'bright'] } }, 'binary takes two'],
  ['a positive label that is none', 'mean', { output: { positive: 'light' } }, '"light" is not one of'],
  ['a threshold among many', 'classes', { output: { threshold: 0.5 } }, 'output.threshold is for binary'],
  ['a mask of many without a label', 'classes', { mask: { name: 'mask' } }, 'mask.label is missing'],
  ['sigmoid among many', 'classes', { output: { activation: 'sigmoid' } }, '"sigmoid" is for binary'],
])('refuses %s', (_, graph, changes, words) => {
  expect(manifestProblems(parsed(graph, changes)).join()).toContain(words)
})

const graph = {
  inputs: [{ name: 'image', type: 'float32', shape: ['N', 1, 8, 8] }],
  outputs: [{ name: 'scores', type: 'float32', shape: ['N', 1] }],
}

it('finds a graph that is as described good', () => {
  expect(graphProblems(parsed('mean', {}), graph)).toEqual([])
  expect(
    graphProblems(parsed('mean', {}), { ...graph, inputs: [{ name: 'image', type: 'float32', shape: [] }] }),
  ).toEqual([])
})

it.each<[(number | string)[], boolean]>([
  [['N', 1, 'H', 'W'], true],
  [['N', 7, 7], true],
  [[], true],
  [['N', 1], false],
  [['N', 3, 7, 7], false],
  [['N', 7, 7, 1], false],
  [['N', 1, 0, 7], false],
  [['N', 1, 5000, 7], false],
])('takes a mask of %j: %s', (shape, good) => {
  const outputs = [...graph.outputs, { name: 'mask', type: 'float16', shape }]
  const problems = graphProblems(parsed('mean', { mask: { name: 'mask' } }), { ...graph, outputs })
  expect(problems.length === 0).toBe(good)
})

it('names everything in which a graph is not as described', () => {
  const manifest = parsed('classes', { input: { type: 'float16' }, batch: { max: 4 } })
  const other = { ...graph, inputs: [{ name: 'image', type: 'float32', shape: [1, 1, 8, 8] }] }
  expect(graphProblems(manifest, other)).toEqual([
    'input.type is float16; the graph takes float32',
    'input is NCHW N x 3 x 8 x 8; the graph takes 1 x 1 x 8 x 8',
    'batch.max is 4; the graph takes exactly 1',
    'the graph gives 1 numbers for an image; output.labels has 3',
  ])
  expect(graphProblems(parsed('mean', { input: { name: 'x' }, output: { name: 'y' } }), graph)).toEqual([
    'input.name is x; the graph takes image',
    'output.name is y; the graph gives scores',
  ])
})
