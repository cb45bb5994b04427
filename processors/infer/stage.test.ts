import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { modelManifest } from '../../models/manifest.ts'
import type { ModelInfo, Models, Route } from '../../models/port.ts'
import { instanceOf, manifestOf } from '../../models/testing.ts'
import { systemClock } from '../../monitoring/clock.ts'
import { createHealth } from '../../monitoring/health.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { ids } from '../../schemas/ids.ts'
import { type Instance, type ModelVersion, type Prediction, topics } from '../../schemas/topics.ts'
import { openFolderObjects } from '../../storage/folder-objects.ts'
import type { ObjectStore } from '../../storage/objects.ts'
import { infer } from './stage.ts'

const object = { key: 'objects/ab', sha256: 'a'.repeat(64), bytes: 1, contentType: 'application/dicom' }
const refOf = (name: string): ModelVersion => ({ name, version: '1', digest: 'd'.repeat(64), runtime: 'onnx' })
const output = {
  label: 'bright',
  score: 0.9,
  threshold: 0.5,
  confidence: 0.9,
  probabilities: { dark: 0.1, bright: 0.9 },
  regions: [],
  explanation: null,
  quality: [],
  timings: { queueMs: 1, fetchMs: 1, decodeMs: 1, prepareMs: 1, inferMs: 1, batch: 1 },
}

/** As a worker draws it; what is in it does not matter here. */
const picture = Buffer.from('a picture')

let folder: string
let objects: ObjectStore
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'raylog-infer-'))
  objects = await openFolderObjects({ folder })
})
afterEach(async () => {
  await objects.close()
  await rm(folder, { recursive: true })
})

type Says = 'refused' | 'answers' | 'explains' | 'waits' | RaylogError

/** The stage over models that answer, refuse or fail as told. */
async function opened(models: Record<string, Says>, settings: object = {}, list: () => ModelInfo[] = () => []) {
  const emitted: Prediction[] = []
  const published: Prediction[] = []
  const asked: { model: string; priority: string }[] = []
  const port: Models = {
    list,
    routes: (): Route[] =>
      Object.entries(models).map(([name, says]) => ({
        model: refOf(name),
        accepted: says !== 'refused',
        reason: says === 'refused' ? 'modality is CT' : 'it takes it',
      })),
    async predict(model, _, { priority, leaving }) {
      asked.push({ model: model.name, priority })
      const says = models[model.name]
      if (says instanceof RaylogError) throw says
      if (says === 'waits')
        return new Promise((_, reject) => leaving?.addEventListener('abort', () => reject(leaving.reason)))
      return says === 'explains' ? { ...output, explanation: picture } : output
    },
    giveWay: () => undefined,
    close: async () => undefined,
  }
  const health = createHealth()
  const signal = new AbortController().signal
  const stage = await infer.open({
    config: infer.config.parse(settings),
    deps: { models: port, objects, health },
    publish: async (_: unknown, ...events: Prediction[]) => {
      published.push(...events)
      return []
    },
    signal,
    site: 'main',
    clock: { ...systemClock, now: () => 5_000 },
    logger: pino({ level: 'silent' }),
    dataFolder: '',
  })
  const handle = async (instance: Instance, leaving = signal) =>
    stage.handle?.(
      { topic: topics.instances.name, event: instance },
      {
        ...{ signal, leaving },
        // By way of JSON, as it would come off the log.
        emit: (_, event) => void emitted.push(JSON.parse(JSON.stringify(event))),
        at: { topic: topics.instances.name, partition: 0, offset: 0 },
        attempt: 1,
        headers: {},
      },
    )
  return { handle, emitted, published, asked, health, close: () => stage.close?.() }
}

it('writes a prediction for each model that takes the instance', async () => {
  const stage = await opened({ chest: 'answers', head: 'refused', any: 'answers' })
  const instance = instanceOf(object, { patient: 'p1', modality: 'DX', priority: 'stat', receivedAt: 4_000 })
  await stage.handle(instance)
  expect(stage.emitted.map(prediction => prediction.model.name)).toEqual(['chest', 'any'])
  expect(stage.emitted[0]).toEqual({
    ...output,
    id: ids.prediction(instance.id, refOf('chest'), 'production', null),
    instance: instance.id,
    study: instance.study,
    site: 'main',
    object: 'objects/ab',
    modality: 'DX',
    patient: 'p1',
    model: refOf('chest'),
    role: 'production',
    replay: null,
    receivedAt: 4_000,
    predictedAt: 5_000,
  })
  expect(stage.asked.map(one => one.priority)).toEqual(['stat', 'stat'])
  expect(stage.published).toEqual([])
})

it('keeps the picture that explains an answer before it gives the answer, which names it', async () => {
  const stage = await opened({ chest: 'explains', any: 'answers' })
  await stage.handle(instanceOf(object))
  const [chest, any] = stage.emitted
  expect((await objects.get(chest?.explanation ?? '')).equals(picture)).toBe(true)
  expect(any?.explanation).toBeNull()
})

it('gives no answer that names a picture which could not be kept', async () => {
  const stage = await opened({ chest: 'explains' })
  objects.put = async () => {
    throw new RaylogError('store-full', 'no space')
  }
  await expect(stage.handle(instanceOf(object))).rejects.toMatchObject({ code: 'store-full' })
  expect([...stage.emitted, ...stage.published]).toEqual([])
})

it('leaves an instance that still waits for a model to whoever has its partition next, and says nothing of it', async () => {
  const stage = await opened({ chest: 'answers', any: 'waits' })
  const leave = new AbortController()
  const reason = new RaylogError('stopping', 'it leaves')
  const handled = expect(stage.handle(instanceOf(object), leave.signal)).rejects.toBe(reason)
  leave.abort(reason)
  await handled
  expect([...stage.emitted, ...stage.published]).toEqual([])
})

it('is done with an instance that no model takes', async () => {
  const stage = await opened({ head: 'refused' })
  await stage.handle(instanceOf(object))
  expect([...stage.emitted, ...stage.asked]).toEqual([])
})

it('keeps what one model said when another fails, and fails with its error', async () => {
  const stage = await opened({ chest: new RaylogError('worker-killer', 'twice'), any: 'answers' })
  await expect(stage.handle(instanceOf(object))).rejects.toMatchObject({ code: 'worker-killer' })
  expect(stage.published.map(prediction => prediction.model.name)).toEqual(['any'])
  expect(stage.emitted).toEqual([])
})

it('fails with the error that leaves most open when several models fail', async () => {
  const stage = await opened({
    a: new RaylogError('decode-failed', 'parks'),
    b: new RaylogError('store-unavailable', 'waits'),
    c: new RaylogError('infer-failed', 'retries'),
  })
  await expect(stage.handle(instanceOf(object))).rejects.toMatchObject({ code: 'store-unavailable' })
})

it('does not leave a sender that asked for a model by name without an answer', async () => {
  const stage = await opened({ chest: 'refused' })
  await expect(stage.handle(instanceOf(object, { requested: ['chets'] }))).rejects.toMatchObject({
    code: 'no-such-model',
    message: 'chets is asked for and not loaded',
  })
  await expect(stage.handle(instanceOf(object, { requested: ['chest@1'] }))).rejects.toMatchObject({
    code: 'model-refused',
    message: 'chest@1: modality is CT',
  })
})

it('says in the health report which models cannot be used, and why', async () => {
  const manifest = modelManifest.parse(manifestOf('mean'))
  const info = (name: string, rest: Pick<ModelInfo, 'state' | 'reason'>): ModelInfo => ({
    ...{ manifest, ref: refOf(name) },
    ...rest,
  })
  let list = [info('chest', { state: 'ready', reason: null })]
  const stage = await opened({ chest: 'answers' }, {}, () => list)
  expect((await stage.health.report()).parts).toMatchObject([{ part: 'models', ok: true, code: null }])
  list = [
    ...list,
    info('head', { state: 'failed', reason: 'its digest differs' }),
    info('any', { state: 'loading', reason: null }),
  ]
  const reason = 'head@1 is failed: its digest differs; any@1 is loading'
  expect((await stage.health.report()).parts).toMatchObject([{ ok: false, code: 'model-invalid', reason }])
})

it('takes its part of the health report away when it closes', async () => {
  const stage = await opened({ chest: 'answers' })
  expect((await stage.health.report()).parts.map(part => part.part)).toEqual(['models'])
  await stage.close()
  expect((await stage.health.report()).parts).toEqual([])
})
