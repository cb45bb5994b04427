/** POST /api/v1/predictions: an image goes in, and what models say comes out. */
import { describe, expect, it } from 'vitest'
import { type Instance, type Prediction, topics } from '../../schemas/topics.ts'
import { until } from '../../tests/harness/until.ts'
import { form, problemOf, ref, uploadsPerTest } from '../../tests/harness/uploads.ts'
import { chestDicom, digitPng, tissuePng } from '../simulator/phantoms.ts'

const start = uploadsPerTest()

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
