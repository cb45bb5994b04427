import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterEach, expect, it } from 'vitest'
import { createMetrics } from '../../monitoring/metrics.ts'
import { until } from '../../tests/harness/until.ts'
import { decodeFrame } from './decode.ts'
import { toDisplay } from './display.ts'
import { type ImagesOptions, openImages } from './images.ts'
import type { Images } from './port.ts'

const opened: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close()
})

/** A store of one folder that counts how often an object is asked for. */
async function open(options: Partial<ImagesOptions> = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'raylog-images-'))
  opened.push(() => rm(folder, { recursive: true }))
  let asked = 0
  const metrics = createMetrics()
  const objects = {
    local(key: string) {
      asked++
      return join(folder, key)
    },
    get: () => Promise.reject(new Error('the path should have been used')),
    range: () => Promise.reject(new Error('the path should have been used')),
    stream: () => Promise.reject(new Error('the path should have been used')),
  }
  const images: Images = openImages({ objects, metrics, threads: 1, ...options })
  opened.push(() => images.close())
  return {
    images,
    metrics,
    asked: () => asked,
    async store(key: string, bytes: Uint8Array) {
      await writeFile(join(folder, key), bytes)
      return { key, sha256: key, contentType: 'image/png' }
    },
  }
}

const gradient = (width: number, height: number) =>
  sharp(
    Uint8Array.from({ length: width * height }, (_, i) => i % 251),
    { raw: { width, height, channels: 1 } },
  )
    .toColourspace('b-w')
    .png()
    .toBuffer()

const restarts = async (metrics: ReturnType<typeof createMetrics>) =>
  (await metrics.workerRestarts.get()).values.map(({ labels, value }) => [labels.code, value])

it('makes a grey PNG of the size asked for and never enlarges', async () => {
  const { images, store } = await open()
  const object = await store('a', await gradient(60, 40))
  const small = await sharp(await images.preview(object, { size: 30 })).metadata()
  expect([small.format, small.width, small.height, small.channels]).toEqual(['png', 30, 20, 1])
  const large = await sharp(await images.preview(object, { size: 500 })).metadata()
  expect([large.width, large.height]).toEqual([60, 40])
  const whole = await sharp(await images.preview(object))
    .toColourspace('b-w')
    .raw()
    .toBuffer()
  expect([...whole.subarray(248, 254)]).toEqual([248, 249, 250, 0, 1, 2])
})

it('shows a DICOM frame through the window asked for', async () => {
  const { images, store } = await open()
  const bytes = await readFile(join(import.meta.dirname, '../fixtures/imaging/window-linear.dcm'))
  const object = await store('ct', bytes)
  const frame = await decodeFrame(bytes)
  const pixels = async (png: Promise<Buffer>) =>
    sharp(await png)
      .toColourspace('b-w')
      .raw()
      .toBuffer()
  const window = { center: -500, width: 900 }
  expect([...(await pixels(images.preview(object)))]).toEqual([...toDisplay(frame).data])
  expect([...(await pixels(images.preview(object, { window })))]).toEqual([...toDisplay(frame, window).data])
  await expect(images.preview(object, { frame: 2 })).rejects.toMatchObject({ code: 'decode-failed' })
})

it('makes one preview for requests that ask for the same at once, and keeps it', async () => {
  const { images, store, asked } = await open()
  const object = await store('a', await gradient(50, 50))
  const pngs = await Promise.all(Array.from({ length: 20 }, () => images.preview(object, { size: 20 })))
  expect(new Set(pngs).size).toBe(1)
  await images.preview(object, { size: 20 })
  expect(asked()).toBe(1)
  await images.preview(object, { size: 21 })
  expect(asked()).toBe(2)
})

it('forgets the previews that do not fit into its cache', async () => {
  const { images, store, asked } = await open({ cacheBytes: 1 })
  const object = await store('a', await gradient(50, 50))
  await images.preview(object)
  await images.preview(object)
  expect(asked()).toBe(2)
})

it('says that the object is gone when it is', async () => {
  const { images } = await open()
  await expect(images.preview({ key: 'no', sha256: 'no', contentType: 'image/png' })).rejects.toMatchObject({
    code: 'object-missing',
  })
})

it('gives bytes that are no image their own error and goes on', async () => {
  const { images, store, metrics } = await open()
  await expect(images.preview(await store('x', Buffer.alloc(300)))).rejects.toMatchObject({ code: 'not-an-image' })
  await expect(images.preview(await store('y', await gradient(9, 9)))).resolves.toBeInstanceOf(Buffer)
  expect(await restarts(metrics)).toEqual([])
})

it('ends a thread that hangs and makes the next preview in another', async () => {
  const { images, store, metrics } = await open({
    worker: new URL('../fixtures/imaging/hanging-worker.mjs', import.meta.url),
    budgetMs: 1_000,
  })
  const object = await store('a', await gradient(9, 9))
  await expect(images.preview(object, { frame: 13 })).rejects.toMatchObject({ code: 'worker-timeout' })
  // The time counts from before the new thread has started, and a machine may be busy: until one is in time.
  await until('another thread makes it', () => images.preview(object).catch(() => undefined))
  expect(await restarts(metrics)).toEqual([['worker-timeout', expect.any(Number)]])
})

it('survives a thread that dies', async () => {
  const { images, store, metrics } = await open({
    worker: new URL('../fixtures/imaging/hanging-worker.mjs', import.meta.url),
  })
  const object = await store('a', await gradient(9, 9))
  await expect(images.preview(object, { frame: 14 })).rejects.toMatchObject({ code: 'worker-died' })
  await expect(images.preview(object)).resolves.toBeInstanceOf(Buffer)
  expect(await restarts(metrics)).toEqual([['worker-died', 1]])
})

it('refuses what would wait behind too many', async () => {
  const { images, store } = await open({ maxWaiting: 2 })
  const object = await store('a', await gradient(200, 200))
  const results = await Promise.allSettled(
    Array.from({ length: 6 }, (_, i) => images.preview(object, { size: 10 + i })),
  )
  const codes = results.map(result => (result.status === 'fulfilled' ? 'made' : result.reason.code))
  expect(codes).toEqual(['made', 'made', 'made', 'busy', 'busy', 'busy'])
})

it('refuses what still waits when it closes', async () => {
  const { images, store } = await open()
  const object = await store('a', await gradient(200, 200))
  const waiting = Promise.allSettled([10, 11, 12].map(size => images.preview(object, { size })))
  await images.close()
  const results = await waiting
  for (const result of results.slice(1)) expect(result).toMatchObject({ reason: { code: 'stopping' } })
  await expect(images.preview(object, { size: 20 })).rejects.toMatchObject({ code: 'stopping' })
})
