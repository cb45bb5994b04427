/** What the S3 store makes of a server's answers, against a server of HTTP that gives them. */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Clock, systemClock } from '../monitoring/clock.ts'
import { openS3Objects, type S3Objects } from './s3-objects.ts'

type Answer = [status: number, code?: string]

let server: Server
let folder: string
let store: S3Objects
/** Given one by one to what is asked about objects; then all is well. */
let answers: Answer[]
let bodies: Buffer[]
let slept: number[]

beforeEach(async () => {
  answers = []
  bodies = []
  slept = []
  server = createServer(async (request, response) => {
    const body = await buffer(request).catch(() => null)
    if (!body) return // broken off by the store
    const aboutObjects = (request.url ?? '').split('/').length > 2
    const [status, code] = (aboutObjects && answers.shift()) || [200]
    if (request.method === 'PUT') bodies.push(body)
    response.writeHead(status)
    response.end(code && request.method !== 'HEAD' ? `<Error><Code>${code}</Code><Message>m</Message></Error>` : '')
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : 0
  folder = await mkdtemp(join(tmpdir(), 'raylog-s3-'))
  const clock: Clock = {
    ...systemClock,
    // Backoff passes at once; deadlines stay.
    sleep(ms, signal) {
      if (ms >= 5_000) return systemClock.sleep(ms, signal)
      slept.push(ms)
      return Promise.resolve()
    },
  }
  store = await openS3Objects({
    endpoint: `http://127.0.0.1:${port}`,
    bucket: 'bucket',
    region: 'us-east-1',
    accessKey: 'a',
    secretKey: 's',
    sse: null,
    tempFolder: folder,
    clock,
    random: () => 1,
  })
})
afterEach(async () => {
  await store.close()
  server.closeAllConnections()
  await new Promise(done => server.close(done))
  await rm(folder, { recursive: true })
})

const bytes = Buffer.from('an image')
const key = `00/00${'0'.repeat(62)}`

describe('the S3 store', () => {
  it.each<Answer[]>([
    [[503, 'SlowDown']],
    [[500, 'InternalError'], [502], [504]],
    [[400, 'RequestTimeout']],
    [
      [400, 'BadDigest'],
      [400, 'XAmzContentSHA256Mismatch'],
    ],
  ])('sends an object again after %j', async (...given) => {
    answers = [...given]
    await store.put(bytes, 'a/b')
    expect(bodies.map(String)).toEqual(Array(given.length + 1).fill('an image'))
    expect(slept).toEqual([100, 200, 400].slice(0, given.length))
  })

  it('gives up after four attempts, and goes on with the next call', async () => {
    answers = Array(4).fill([503, 'SlowDown'])
    await expect(store.put(bytes, 'a/b')).rejects.toMatchObject({ code: 'store-unavailable' })
    expect(bodies).toHaveLength(4)
    await store.put(bytes, 'a/b')
  })

  it.each<[Answer, string]>([
    [[507, 'XMinioStorageFull'], 'store-full'],
    [[403, 'QuotaExceeded'], 'store-full'],
    [[400, 'EntityTooLarge'], 'too-large'],
    [[403, 'AccessDenied'], 'store-unavailable'],
    [[403, 'RequestTimeTooSkewed'], 'store-unavailable'],
    [[404, 'NoSuchBucket'], 'store-unavailable'],
    [[418], 'store-unavailable'],
  ])('does not send it again after %j, which is %s', async (given, code) => {
    answers = [given]
    await expect(store.put(bytes, 'a/b')).rejects.toMatchObject({ code })
    expect(bodies).toHaveLength(1)
  })

  it('tells an object that is gone from a bucket that is', async () => {
    answers = [[404, 'NoSuchKey']]
    await expect(store.get(key)).rejects.toMatchObject({ code: 'object-missing' })
    answers = [[404, 'NoSuchBucket']]
    await expect(store.get(key)).rejects.toMatchObject({ code: 'store-unavailable' })
  })

  it('does not take an empty answer for an object', async () => {
    await expect(store.get(key)).rejects.toMatchObject({ code: 'object-damaged' })
  })
})
