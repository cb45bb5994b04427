/**
 * What Python said of made-up pictures at training, said again by the whole path that serves: PNG in a store, decoding,
 * preparing, ONNX Runtime, reading the output. models/training/fixtures.py wrote serving.json.
 */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import pino from 'pino'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createMetrics } from '../monitoring/metrics.ts'
import { platformConfig } from '../schemas/config.ts'
import { type Engine, openModels } from './engine.ts'
import { decodeFrame } from './imaging/decode.ts'
import { createPreparer } from './prepare/prepare.ts'
import { makeTensorData } from './prepare/tensor.ts'
import { instanceOf, temporaryFolder, testObjects } from './testing.ts'

const path = join(import.meta.dirname, 'fixtures/serving.json')
const fixture = z.object({
  models: z.array(
    z.object({
      model: z.string(),
      version: z.string(),
      weights: z.string(),
      cases: z.array(
        z.object({
          name: z.string(),
          width: z.int(),
          height: z.int(),
          channels: z.enum(['grey', 'rgb']),
          pixels: z.base64(),
          prepared: z.object({ sha256: z.string() }),
          scores: z.array(z.number()),
          score: z.number().optional(),
          label: z.string(),
        }),
      ),
    }),
  ),
})
const { models } = existsSync(path) ? fixture.parse(JSON.parse(readFileSync(path, 'utf8'))) : { models: [] }

type Case = z.infer<typeof fixture>['models'][number]['cases'][number]

const asPng = ({ width, height, channels, pixels }: Case): Promise<Buffer> =>
  sharp(Buffer.from(pixels, 'base64'), { raw: { width, height, channels: channels === 'grey' ? 1 : 3 } })
    .toColourspace(channels === 'grey' ? 'b-w' : 'srgb')
    .png()
    .toBuffer()

/** Where README.md, "GPU", has it put. */
const cudaLibrary = join(
  import.meta.dirname,
  '../node_modules/onnxruntime-node/bin/napi-v6',
  `${process.platform}/${process.arch}/libonnxruntime_providers_cuda.so`,
)
const hasCuda = existsSync('/dev/nvidiactl') && existsSync(cudaLibrary)

/** How far from what Python said on a CPU: products of TF32 have ten bits of mantissa. */
const within = { cpu: 1e-5, cuda: 5e-3 }
const serves = (provider: keyof typeof within) => () => {
  const root = temporaryFolder()
  const objects = testObjects(root.path)
  let engine: Engine | undefined
  const opened = () => {
    if (!engine) throw new Error('not open')
    return engine
  }
  beforeAll(async () => {
    const settings = { ...platformConfig.parse({}).models, workers: 1, providers: [provider] }
    engine = await openModels({
      settings,
      objects,
      spoolFolder: join(root.path, 'spool'),
      metrics: createMetrics(),
      logger: pino({ level: 'silent' }),
    })
  })
  afterAll(async () => {
    await engine?.close()
    root[Symbol.dispose]()
  })

  it('are all ready', () => {
    expect(
      opened()
        .list()
        .map(info => [info.ref.name, info.state, info.reason]),
    ).toEqual([
      ['breast', 'ready', null],
      ['digits', 'ready', null],
      ['pneumonia', 'ready', null],
    ])
  })

  describe.each(models)('$model', ({ model, version, weights, cases }) => {
    const infoOf = () => {
      const info = opened()
        .list()
        .find(one => one.ref.name === model && one.ref.version === version)
      if (!info) throw new Error(`${model}@${version} is not loaded`)
      return info
    }

    it('has the weights that the expectations were made with', () => {
      expect(infoOf().ref.digest).toBe(weights)
    })

    it.each(cases)('sees $name as Python did', async one => {
      const info = infoOf()
      const bytes = await asPng(one)
      const { input } = info.manifest
      const tensor = makeTensorData(input, 1)
      createPreparer(input).into(await decodeFrame(bytes), tensor, 0)
      expect(createHash('sha256').update(tensor).digest('hex')).toBe(one.prepared.sha256)

      const said = await opened().predict(info.ref, instanceOf(objects.put(bytes)), {
        priority: 'routine',
        signal: new AbortController().signal,
      })
      expect(said.label).toBe(one.label)
      for (const [at, label] of info.manifest.output.labels.entries()) {
        expect(Math.abs((said.probabilities[label] ?? -1) - (one.scores[at] ?? -1))).toBeLessThan(within[provider])
      }
      if (one.score !== undefined) expect(Math.abs(said.score - one.score)).toBeLessThan(within[provider])
    })
  })
}

describe.skipIf(models.length === 0)('the models that come with Raylog (skipped without fixtures/serving.json)', () => {
  describe('on the CPU', serves('cpu'))
  describe.skipIf(!hasCuda)('on a GPU (skipped without one of NVIDIA and its provider)', serves('cuda'))
})
