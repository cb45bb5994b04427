/** What is measured: a model, its images, and how many of them are in flight. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ModelManifest, modelManifest } from '../../models/manifest.ts'
import { builtInFolder } from '../../models/registry.ts'
import { dicomFile, png } from '../../models/testing.ts'
import { sharedPath } from '../../tests/shared.ts'

export interface Scenario {
  name: string
  manifest: ModelManifest
  weights: string
  /** Shape of a whole batch. */
  shape: number[]
  files: Buffer[]
  contentType: string
  rows: number
}

const accepts = { contentTypes: [], modalities: [], bodyParts: [], views: [], photometric: [] }
const card = { licence: '', data: '', intendedUse: '', limits: '', trainedBy: '', quality: [] }

function heavy(name: string, weights: string, input: string, output: string): ModelManifest {
  const bytes = readFileSync(weights)
  return modelManifest.parse({
    name,
    version: '1',
    title: name,
    runtime: 'onnx',
    weights: { file: 'model.onnx', sha256: createHash('sha256').update(bytes).digest('hex'), bytes: bytes.length },
    accepts,
    input: { name: input, layout: 'NCHW', channels: 'rgb', width: 224, height: 224 },
    output: {
      name: output,
      kind: 'multiclass',
      labels: Array.from({ length: 1000 }, (_, i) => `c${i}`),
    },
    batch: { max: 1 },
    card,
  })
}

/** Different pictures, so that nothing is measured that a cache made fast. */
const variants = 16
const flat = (side: number, bits: 8 | 16) =>
  Array.from({ length: variants }, (_, v) =>
    dicomFile({
      rows: side,
      columns: side,
      bits,
      sample: i => (i * (v + 3) + (i >> 7) * 11) & (bits === 8 ? 255 : 4095),
    }),
  )

/** Graphs of the shared folder: none where there is no such folder. */
export function heavyScenarios(): Scenario[] {
  const shape = [1, 3, 224, 224]
  const inputs = [
    { of: '224x224 DICOM', files: flat(224, 8), contentType: 'application/dicom', rows: 224, shape },
    { of: '512 KB CT', files: flat(512, 16), contentType: 'application/dicom', rows: 512, shape },
  ]
  const graphs = [
    { title: 'ResNet-50', path: 'light_resnet50.onnx', input: 'gpu_0/data_0', output: 'gpu_0/softmax_1' },
    { title: 'SqueezeNet', path: 'light_squeezenet.onnx', input: 'data_0', output: 'softmaxout_1' },
  ]
  return graphs.flatMap(({ title, path, input, output }) => {
    const weights = sharedPath(join('data/models/light', path))
    if (!weights) return []
    const manifest = heavy(title.toLowerCase().replaceAll('-', ''), weights, input, output)
    return inputs.map(({ of, ...given }) => ({ name: `${title}, ${of}`, manifest, weights, ...given }))
  })
}

export async function scenarios(): Promise<Scenario[]> {
  const found = heavyScenarios()
  for (const max of [1, 8, 32]) {
    found.push(await trained('breast', max, { files: await pictures(50), contentType: 'image/png', rows: 50 }))
  }
  found.push(await trained('digits', 32, { files: flat(28, 8), contentType: 'application/dicom', rows: 28 }))
  return found
}

const pictures = (side: number) =>
  Promise.all(Array.from({ length: variants }, (_, v) => png(200 - v, 120 + v, 180, side)))

async function trained(name: string, max: number, input: Pick<Scenario, 'files' | 'contentType' | 'rows'>) {
  const folder = join(builtInFolder, name)
  const manifest = modelManifest.parse(JSON.parse(readFileSync(join(folder, 'model.json'), 'utf8')))
  const { width, height, channels } = manifest.input
  return {
    name: `${name}, batches of ${max}, ${input.contentType === 'image/png' ? 'PNG' : 'DICOM'} ${input.rows}x${input.rows}`,
    manifest: { ...manifest, accepts, batch: { max } },
    weights: join(folder, manifest.weights.file),
    shape: [max, channels === 'grey' ? 1 : 3, height, width],
    ...input,
  }
}
