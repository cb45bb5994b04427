import { readdir } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { join } from 'node:path'
import pino from 'pino'
import { afterEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createHttp } from '../../gateway/http.ts'
import type { Tail } from '../../kafka/ports.ts'
import type { Models } from '../../models/port.ts'
import { createHealth } from '../../monitoring/health.ts'
import { createMetrics } from '../../monitoring/metrics.ts'
import { platformConfig } from '../../schemas/config.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { ids } from '../../schemas/ids.ts'
import { type Instance, type Prediction, topics } from '../../schemas/topics.ts'
import { type OpenProducer, openProducer, type ProducerOptions } from '../../tests/harness/producer.ts'
import { openStores } from '../../tests/harness/stores.ts'
import { until } from '../../tests/harness/until.ts'
import { zipOf } from '../../tests/harness/zip.ts'
import { chestDicom, chestUids, digitPng, tissuePng } from '../simulator/phantoms.ts'
import { upload } from './stage.ts'

const token = 'a-token-for-the-tests'
const ref = (name: string) => ({ name, version: '1', digest: 'd', runtime: 'onnx' })

/** Two models: `digits` takes what asks for it, `chest` what has the modality DX. */
const models: Pick<Models, 'list' | 'routes'> = {
  list: () =>
    ['digits', 'chest'].map(name => ({
      manifest: { name },
      ref: ref(name),
      state: 'ready',
      reason: null,
    })) as ReturnType<Models['list']>,
  routes: ({ requested, modality }) => [
    { model: ref('digits'), accepted: requested.includes('digits'), reason: 'was not asked for' },
    { model: ref('chest'), accepted: requested.length === 0 && modality === 'DX', reason: 'takes modality DX' },
  ],
}

function createTail() {
  const listeners = new Set<(topic: string, event: never) => void>()
  const tail: Tail = {
    listen(topic, hear) {
      const listener = (name: string, event: never) => {
        if (name === topic.name) hear(event, { topic: name, partition: 0, offset: 0 })
      }
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
  const tell = (topic: string, event: unknown) => {
    for (const listener of listeners) listener(topic, event as never)
  }
  return { tail, tell, listening: () => listeners.size }
}

const predictionOf = (event: Instance, model: string): Prediction => ({
  id: `pr_${model}`,
  instance: event.id,
  study: event.study,
  site: event.site,
  object: event.object.key,
  modality: null,
  patient: null,
  model: ref(model),
  role: 'production',
  replay: null,
  label: '7',
  score: 0.9,
  threshold: null,
  confidence: 0.9,
  probabilities: { 7: 0.9 },
  regions: [],
  explanation: null,
  quality: [],
  timings: { queueMs: 0, fetchMs: 0, decodeMs: 0, prepareMs: 0, inferMs: 0, batch: 1 },
  receivedAt: event.receivedAt,
  predictedAt: event.receivedAt,
})

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function start(options: ProducerOptions & { http?: object } = {}) {
  const tail = createTail()
  const stores = await openStores()
  const metrics = createMetrics()
  const http = await createHttp({
    config: platformConfig.parse({ http: options.http ?? {} }).http,
    token,
    logger: pino({ level: 'silent' }),
    health: createHealth(),
    metrics,
    researchUseOnly: true,
  })
  const stage: OpenProducer = await openProducer(upload, {
    ...options,
    stores,
    deps: { http, models: { ...models } as Models, tail: tail.tail, ...options.deps },
  })
  const address = await http.listen({ host: '127.0.0.1', port: 0 })
  closing.push(async () => {
    await http.close()
    await stage.close()
    await stores.close()
    metrics.registry.clear()
  })
  const post = (path: string, body: NonNullable<RequestInit['body']>, headers: Record<string, string> = {}) =>
    fetch(`${address}${path}`, { method: 'POST', body, headers: { authorization: `Bearer ${token}`, ...headers } })
  return Object.assign(stage, { post, address, tell: tail.tell, listening: tail.listening, http })
}

const itemsShape = z.object({
  items: z.array(
    z.object({
      file: z.string(),
      id: z.string().optional(),
      study: z.string().optional(),
      error: z.object({ code: z.string(), remedy: z.string() }).optional(),
    }),
  ),
})
const itemsOf = async (response: Response) => itemsShape.parse(await response.json()).items
const problemOf = async (response: Response) =>
  z.object({ code: z.string(), detail: z.string() }).parse(await response.json())

function form(fields: Record<string, string>, ...files: [name: string, bytes: Uint8Array][]): FormData {
  const data = new FormData()
  for (const [name, value] of Object.entries(fields)) data.set(name, value)
  for (const [name, bytes] of files) data.append('file', new Blob([new Uint8Array(bytes)]), name)
  return data
}

describe('POST /api/v1/instances', () => {
  it('keeps every file of a form and tells each on its own', async () => {
    const stage = await start()
    const response = await stage.post(
      '/api/v1/instances',
      form({}, ['a.png', await digitPng(1)], ['notes.txt', Buffer.from('not an image')], ['b.dcm', chestDicom(2)]),
    )
    expect(response.status).toBe(201)
    const [png, text, dicom] = await itemsOf(response)
    expect(png).toMatchObject({ file: 'a.png', id: stage.published[0]?.id, study: stage.published[0]?.study })
    expect(text).toMatchObject({
      file: 'notes.txt',
      error: { code: 'not-an-image', remedy: expect.stringMatching(/./) },
    })
    expect(dicom).toMatchObject({ file: 'b.dcm', study: ids.study('main', chestUids(2).study) })
    expect(stage.published).toHaveLength(2)
    expect(stage.published[0]).toMatchObject({ source: { kind: 'upload', peer: '/api/v1/instances' }, dicom: null })
  })

  it('applies the fields before a file to it, and leaves what DICOM says itself as it is', async () => {
    const stage = await start()
    const fields = {
      model: 'digits',
      modality: 'ot',
      bodyPart: 'digit',
      view: 'pa',
      priority: 'urgent',
      study: 'demo 1',
    }
    await stage.post(
      '/api/v1/instances',
      form(fields, ['a.png', await digitPng(1)], ['b.png', await digitPng(2)], ['c.dcm', chestDicom(2)]),
    )
    const [a, b, c] = stage.published
    expect(a).toMatchObject({
      requested: ['digits'],
      modality: 'OT',
      bodyPart: 'DIGIT',
      view: 'PA',
      priority: 'urgent',
    })
    expect(a?.study).toBe(ids.study('main', 'demo 1'))
    expect(b?.study).toBe(a?.study)
    expect(c).toMatchObject({ modality: 'DX', bodyPart: 'CHEST', study: ids.study('main', chestUids(2).study) })
  })

  it('takes one image as the body, with the fields in the query', async () => {
    const stage = await start()
    const query = '?model=digits&modality=OT'
    const png = await stage.post(`/api/v1/instances${query}`, new Uint8Array(await digitPng(1)), {
      'content-type': 'image/png',
    })
    expect(png.status).toBe(201)
    const dicom = await stage.post('/api/v1/instances', new Uint8Array(chestDicom(1)), {
      'content-type': 'application/dicom',
    })
    expect(dicom.status).toBe(201)
    expect(stage.published).toMatchObject([{ requested: ['digits'], modality: 'OT' }, { modality: 'DX' }])
  })

  it('refuses fields, models and bodies that are none', async () => {
    const stage = await start()
    const png = await digitPng(1)
    const refused = async (body: FormData) => (await problemOf(await stage.post('/api/v1/instances', body))).code
    expect(await refused(form({ colour: 'red' }, ['a.png', png]))).toBe('bad-request')
    expect(await refused(form({ priority: 'soon' }, ['a.png', png]))).toBe('bad-request')
    expect(await refused(form({ model: 'cats' }, ['a.png', png]))).toBe('no-such-model')
    expect(await refused(form({ model: 'digits' }))).toBe('empty-upload')
    const json = await stage.post('/api/v1/instances', '{}', { 'content-type': 'application/json' })
    expect((await problemOf(json)).code).toBe('bad-request')
    expect(stage.published).toHaveLength(0)
  })

  it('answers 422 when no file could be stored', async () => {
    const stage = await start()
    const response = await stage.post('/api/v1/instances', form({}, ['a', Buffer.from('x')], ['b', Buffer.alloc(0)]))
    expect(response.status).toBe(422)
    expect((await itemsOf(response)).map(item => item.error?.code)).toEqual(['not-an-image', 'empty-upload'])
  })

  it('answers 503 with Retry-After while the log is away, and takes the file when it is back', async () => {
    let away = true
    const stage = await start({
      publishing() {
        if (away) throw new RaylogError('log-unavailable', 'no broker')
      },
    })
    const send = async () => stage.post('/api/v1/instances', form({}, ['a.png', await digitPng(1)]))
    const refused = await send()
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, expect.stringMatching(/\d/)])
    away = false
    expect((await send()).status).toBe(201)
    expect(stage.published).toHaveLength(1)
  })

  it('answers 507 while the disk is full', async () => {
    const stage = await start()
    stage.stores.objects.put = () => Promise.reject(Object.assign(new Error('no space'), { code: 'ENOSPC' }))
    expect((await stage.post('/api/v1/instances', form({}, ['a.png', await digitPng(1)]))).status).toBe(507)
  })

  it('refuses one file that is too large and takes its neighbours', async () => {
    const stage = await start({ http: { maxUploadBytes: 200_000 } })
    const response = await stage.post(
      '/api/v1/instances',
      form({}, ['a.png', await digitPng(1)], ['b.dcm', chestDicom(1, { size: 1024 })], ['c.png', await digitPng(2)]),
    )
    const items = await itemsOf(response)
    expect(items.map(item => item.error?.code)).toEqual([undefined, 'too-large', undefined])
    expect(stage.published).toHaveLength(2)
  })

  it('keeps nothing of a file whose sender vanishes', async () => {
    const stage = await start()
    const file = chestDicom(1, { size: 1024 })
    const { port } = new URL(stage.address)
    const outgoing = httpRequest({
      port,
      path: '/api/v1/instances',
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/dicom', 'content-length': file.length },
    })
    outgoing.on('error', () => undefined)
    outgoing.write(file.subarray(0, 1_500_000))
    await until('it has been sent', () => outgoing.socket !== null && outgoing.socket.writableLength === 0)
    outgoing.destroy()
    await until('it is given up', async () => (await stage.received('truncated')) === 1)
    expect(await stage.objectCount()).toBe(0)
  })

  it('wants the token', async () => {
    const stage = await start()
    const response = await fetch(`${stage.address}/api/v1/instances`, {
      method: 'POST',
      body: form({}, ['a', Buffer.from('x')]),
    })
    expect(response.status).toBe(401)
  })

  it('is described in the OpenAPI document', async () => {
    const stage = await start()
    const response = await fetch(`${stage.address}/docs/json`, { headers: { authorization: `Bearer ${token}` } })
    const { paths } = z.object({ paths: z.record(z.string(), z.unknown()) }).parse(await response.json())
    expect(Object.keys(paths)).toEqual(expect.arrayContaining(['/api/v1/instances', '/api/v1/predictions']))
  })
})

describe('a ZIP archive', () => {
  const sendZip = async (stage: Awaited<ReturnType<typeof start>>, zip: Buffer) =>
    itemsOf(await stage.post('/api/v1/instances', form({}, ['all.zip', zip])))

  it('is unpacked, and each of its files told on its own; names with path tricks are only names', async () => {
    const stage = await start()
    const items = await sendZip(
      stage,
      zipOf({
        '../../etc/a.png': await digitPng(1),
        'C:\\windows\\b.dcm': chestDicom(1),
        'folder/c.txt': Buffer.from('no image'),
        '__MACOSX/._a.png': Buffer.from('noise'),
        '.DS_Store': Buffer.from('noise'),
      }),
    )
    const byName = Object.fromEntries(items.map(item => [item.file, item.error?.code ?? 'stored']))
    expect(byName).toEqual({
      'all.zip/../../etc/a.png': 'stored',
      'all.zip/C:\\windows\\b.dcm': 'stored',
      'all.zip/folder/c.txt': 'not-an-image',
    })
    expect(await readdir(join(stage.stores.folder, 'tmp', 'upload'))).toEqual([])
  })

  it.each([
    ['within another', async () => zipOf({ 'inner.zip': zipOf({ 'a.png': await digitPng(1) }) })],
    [
      'with more entries than allowed',
      async () => zipOf({ a: await digitPng(1), b: await digitPng(2), c: await digitPng(3), d: await digitPng(4) }),
    ],
    ['that unpacks to far more than it has', async () => zipOf({ a: Buffer.alloc(3_000_000) })],
    ['that is cut off', async () => zipOf({ a: chestDicom(1) }).subarray(0, 50_000)],
    ['whose data are damaged', async () => zipOf({ a: chestDicom(1) }).fill(0x55, 5_000, 9_000)],
  ])('%s is refused', async (_what, make) => {
    const stage = await start({ settings: { zip: { maxEntries: 3 } } })
    const items = await sendZip(stage, await make())
    expect(items.map(item => item.error?.code)).toEqual(['zip-refused'])
    expect(stage.published).toHaveLength(0)
    expect(await readdir(join(stage.stores.folder, 'tmp', 'upload'))).toEqual([])
  })
})

describe('POST /api/v1/predictions', () => {
  it('answers what the models say, also when they say it before the event is known to be durable', async () => {
    const told: ((event: Instance) => void)[] = []
    const stage = await start({
      publishing(event) {
        for (const tell of told) tell(event)
      },
    })
    told.push(event => stage.tell(topics.predictions.name, predictionOf(event, 'digits')))
    const response = await stage.post('/api/v1/predictions', form({ model: 'digits' }, ['a.png', await digitPng(1)]))
    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({
      instance: { id: stage.published[0]?.id },
      predictions: [{ instance: stage.published[0]?.id, label: '7', model: { name: 'digits' } }],
    })
    expect(stage.listening()).toBe(0)
  })

  it('answers 422 with the reasons when no model takes the image, which is stored all the same', async () => {
    const stage = await start()
    const response = await stage.post('/api/v1/predictions', form({}, ['a.png', await tissuePng(1)]))
    expect(response.status).toBe(422)
    const problem = await problemOf(response)
    expect(problem.code).toBe('model-refused')
    expect(problem.detail).toContain(stage.published[0]?.id)
    expect(problem.detail).toContain('takes modality DX')
  })

  it('answers 504 with the id when the models take too long', async () => {
    const stage = await start()
    const response = await stage.post(
      '/api/v1/predictions?timeoutMs=20',
      form({ model: 'digits' }, ['a.png', await digitPng(1)]),
    )
    expect(response.status).toBe(504)
    const problem = await problemOf(response)
    expect(problem.detail).toContain(`/api/v1/predictions?instance=${stage.published[0]?.id}`)
    expect(stage.listening()).toBe(0)
  })

  it('answers why the model gave the image up', async () => {
    const stage = await start()
    const pending = stage.post('/api/v1/predictions', new Uint8Array(chestDicom(1)), {
      'content-type': 'application/dicom',
    })
    const event = await until('it is stored', () => stage.published[0])
    stage.tell(topics.parked.name, { subject: event.id, code: 'decode-failed', message: 'damaged' })
    const response = await pending
    expect(response.status).toBe(422)
    expect(await problemOf(response)).toMatchObject({
      code: 'decode-failed',
      detail: expect.stringContaining(event.id),
    })
  })

  it('refuses what is no image as such', async () => {
    const stage = await start()
    const response = await stage.post('/api/v1/predictions', form({ model: 'digits' }, ['a', Buffer.from('x')]))
    expect(response.status).toBe(415)
  })
})
