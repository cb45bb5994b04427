/** What /metrics says after images went through a Raylog: each number is what was done, no more and no less. */
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { graphsFolder, manifestOf, png, temporaryFolder, writeModel } from '../../models/testing.ts'
import { digitPng } from '../../producers/simulator/phantoms.ts'
import { topics } from '../../schemas/topics.ts'
import { isIdle } from '../harness/census.ts'
import { type Raylog, startRaylog } from '../harness/raylog.ts'
import { until } from '../harness/until.ts'

const digits = 5
const retries = 3
const folder = temporaryFolder()
let raylog: Raylog

beforeAll(async () => {
  // Gives what is no number for a black image, which is tried again and then given up. It takes nothing unasked.
  const manifest = manifestOf('ratio', { accepts: { modalities: ['NONE'] } })
  writeModel(folder.path, 'ratio', manifest, join(graphsFolder, 'ratio.onnx'))
  raylog = await startRaylog({
    set: [
      `models.folders=[${folder.path}]`,
      'models.only=[digits, ratio]',
      'models.workers=1',
      `runner.retries=${retries}`,
      // Longer than two looks at the lag, so that it is seen.
      'runner.backoffMs=3000',
      'runner.maxBackoffMs=3000',
    ],
  })
}, 120_000)
afterAll(async () => {
  await raylog?.[Symbol.asyncDispose]()
  folder[Symbol.dispose]()
})

/** The sum of all series of a name that have these labels; undefined where there is none. */
type Read = (name: string, labels?: Record<string, string>) => number | undefined

async function scrape(): Promise<Read> {
  const text = await (await raylog.get('/metrics')).text()
  return (name, labels = {}) => {
    const values = text.split('\n').flatMap(line => {
      const [, called, by = '', value] = /^([a-z_0-9]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
      const fits = Object.entries(labels).every(([label, is]) => by.split(',').includes(`${label}="${is}"`))
      return called === name && fits ? [Number(value)] : []
    })
    return values.length > 0 ? values.reduce((sum, value) => sum + value) : undefined
  }
}

it('counts events, attempts, times and bytes as they were', { timeout: 120_000 }, async () => {
  const before = await scrape()
  const [instances, predictions] = [topics.instances.name, topics.predictions.name]
  expect(before('raylog_events_in_total', { stage: 'infer' }) ?? 0).toBe(0)

  let bytes = 0
  for (let seed = 1; seed <= digits; seed++) {
    const image = await digitPng(seed)
    bytes += image.length
    const type = { 'content-type': 'image/png' }
    expect((await raylog.post('/api/v1/predictions?model=digits', image, type)).status).toBe(200)
  }
  const black = await png(0)
  bytes += black.length
  const form = new FormData()
  form.append('model', 'ratio')
  form.append('file', new Blob([new Uint8Array(black)], { type: 'image/png' }), 'black.png')
  expect((await raylog.post('/api/v1/instances', form)).status).toBe(201)

  await until('the lag of the one that is tried again is seen', async () => {
    const lag = (await scrape())('raylog_lag_events', { stage: 'infer', topic: instances })
    return lag === 1
  })
  await until('every stage is idle', () => isIdle(raylog))
  await until('no stage has any lag', async () => (await scrape())('raylog_lag_events') === 0)

  const now = await scrape()
  const read = (name: string, labels?: Record<string, string>) => now(`raylog_${name}`, labels)
  expect(read('images_received_total', { producer: 'upload', outcome: 'accepted' })).toBe(digits + 1)
  expect(read('received_bytes_total', { producer: 'upload' })).toBe(bytes)
  expect(read('events_out_total', { stage: 'upload', topic: instances })).toBe(digits + 1)
  expect(read('events_in_total', { stage: 'infer', topic: instances })).toBe(digits + 1)
  expect(read('events_out_total', { stage: 'infer', topic: predictions })).toBe(digits)
  expect(read('events_in_total', { stage: 'persist', topic: predictions })).toBe(digits)
  expect(read('events_retried_total', { stage: 'infer', code: 'infer-failed' })).toBe(retries)
  expect(read('events_parked_total', { stage: 'infer', code: 'infer-failed' })).toBe(1)
  expect(read('events_parked_total')).toBe(1)

  expect(read('handle_seconds_count', { stage: 'infer' })).toBe(digits)
  expect(read('handle_seconds_sum', { stage: 'infer' })).toBeGreaterThan(0)
  const model = { model: 'digits@1' }
  for (const step of ['queue', 'fetch', 'decode', 'prepare', 'infer']) {
    expect(read(`${step}_seconds_count`, model), step).toBe(digits)
    expect(read(`${step}_seconds_sum`, model), step).toBeGreaterThan(0)
  }
  expect(read('batch_size_images_sum', model)).toBe(digits)
  // Of what a stage took, the steps of its model are a part.
  const steps = ['fetch', 'decode', 'prepare', 'infer'].map(step => read(`${step}_seconds_sum`, model) ?? Infinity)
  expect(steps.reduce((sum, seconds) => sum + seconds)).toBeLessThan(
    read('handle_seconds_sum', { stage: 'infer' }) ?? 0,
  )

  // Each look begins anew: one that follows at once has nothing to tell.
  const delays = await until('the event loop was timed since the last look', async () => {
    const read = await scrape()
    const of = (which: string) => read(`raylog_nodejs_eventloop_lag_${which}_seconds`) ?? 0
    return of('max') > 0 ? ['min', 'p50', 'p99', 'max'].map(of) : undefined
  })
  expect(delays).toEqual(delays.toSorted((a, b) => a - b))
  expect(delays[0]).toBeGreaterThan(0)
})
