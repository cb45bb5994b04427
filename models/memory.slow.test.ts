/** What a worker holds of a model of clinical size. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import pino from 'pino'
import { expect, it, onTestFinished, vi } from 'vitest'
import { createMetrics } from '../monitoring/metrics.ts'
import { platformConfig } from '../schemas/config.ts'
import { sharedPath } from '../tests/shared.ts'
import { openModels } from './engine.ts'
import { modelManifest } from './manifest.ts'
import { temporaryFolder, testObjects, writeModel } from './testing.ts'

const weights = sharedPath('data/models/light/light_resnet50.onnx')
const able = process.platform === 'linux' && weights !== undefined

it.skipIf(!able).each([
  // Its 25.6 million parameters are 102 MB; 291 MB were kept before what loading needs was given back.
  { workers: 1, most: 230 },
  { workers: 2, most: 110 },
])(
  'of ResNet-50 each of $workers keeps less than $most MB for itself (needs Linux and RAYLOG_SHARED)',
  async ({ workers, most }) => {
    if (!weights) return
    using root = temporaryFolder()
    const bytes = readFileSync(weights)
    const manifest = modelManifest.parse({
      name: 'resnet50',
      version: '1',
      title: 'ResNet-50',
      runtime: 'onnx',
      weights: { file: 'model.onnx', sha256: createHash('sha256').update(bytes).digest('hex'), bytes: bytes.length },
      accepts: {},
      input: { name: 'gpu_0/data_0', layout: 'NCHW', channels: 'rgb', width: 224, height: 224 },
      output: { name: 'gpu_0/softmax_1', kind: 'multiclass', labels: Array.from({ length: 1000 }, (_, n) => `c${n}`) },
      card: { licence: '', data: '', intendedUse: '', limits: '', trainedBy: '', quality: [] },
    })
    writeModel(join(root.path, 'models'), 'model', manifest, weights)
    const folders = [join(root.path, 'models')]
    const settings = { ...platformConfig.parse({}).models, builtIn: false, folders, workers }
    const logger = pino({ level: 'silent' })
    const engine = await openModels({
      settings,
      objects: testObjects(root.path),
      spoolFolder: join(root.path, 'spool'),
      metrics: createMetrics(),
      logger,
    })
    onTestFinished(() => engine.close())
    await vi.waitFor(() => expect(engine.workers()).toHaveLength(workers), { timeout: 60_000 })
    const anonymous = engine.workers().map(pid => {
      const [, kb] = /Pss_Anon:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')) ?? []
      return Number(kb) / 1024
    })
    expect(Math.max(...anonymous)).toBeLessThan(most)
  },
)
