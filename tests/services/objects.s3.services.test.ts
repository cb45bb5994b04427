/** The object store's contract on S3, and what is said when it cannot be opened. */
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../monitoring/clock.ts'
import { openS3Objects, type S3Options } from '../../storage/s3-objects.ts'
import { objectsContract } from '../contract/objects.ts'
import { codeOf, newBucket, openS3Kit } from './s3-kit.ts'
import { startProxy } from './tcp-proxy.ts'

const kit = await openS3Kit()
afterAll(() => kit[Symbol.asyncDispose]())
const { s3, admin, settings } = kit

objectsContract('S3', async () => {
  const tempFolder = await mkdtemp(join(tmpdir(), 'raylog-s3-'))
  const options = settings(newBucket(), tempFolder)
  const store = await openS3Objects(options)
  const module = JSON.stringify(new URL('../../storage/s3-objects.ts', import.meta.url).href)
  return {
    store,
    again: () => openS3Objects(options),
    async unfinished() {
      const files = await readdir(tempFolder)
      const uploads = await admin.listIncompleteUploads(options.bucket, '', true).toArray()
      return files.length + uploads.length
    },
    childSource: `import { openS3Objects } from ${module}
const store = await openS3Objects(${JSON.stringify(options)})`,
    async release() {
      await store.close()
      await rm(tempFolder, { recursive: true })
    },
  }
})

describe('opening an object store on S3', () => {
  let tempFolder: string
  beforeEach(async () => {
    tempFolder = await mkdtemp(join(tmpdir(), 'raylog-s3-'))
  })
  afterEach(() => rm(tempFolder, { recursive: true }))

  it.each<[string, Partial<S3Options>]>([
    ['a bucket that is not there', { bucket: newBucket(), makeBucket: false }],
    ['another secret', { secretKey: 'not-the-secret' }],
    ['another access key', { accessKey: 'nobody' }],
    ['a name that no bucket has', { bucket: 'A_B' }],
    ['an endpoint with a path', { endpoint: `${s3.url}/path` }],
    ['an endpoint that is none', { endpoint: 'localhost' }],
  ])('refuses %s for good, and does not tell the secret', async (_, wrong) => {
    const options = { ...settings(newBucket(), tempFolder), ...wrong }
    const error = await openS3Objects(options).catch(thrown => thrown)
    expect(error).toMatchObject({ code: 'config-invalid' })
    expect(inspect(error, { depth: 9 })).not.toContain(options.secretKey)
  })

  it('says in time that the server is away', async () => {
    const proxy = await startProxy(s3.port)
    proxy.freeze()
    const options = {
      ...settings(newBucket(), tempFolder),
      endpoint: `http://127.0.0.1:${proxy.port}`,
      deadlineMs: 500,
    }
    expect(await codeOf(openS3Objects(options))).toBe('store-unavailable')
    await proxy.close()
    expect(await codeOf(openS3Objects(options))).toBe('store-unavailable')
  })

  it('makes one bucket for all that open it first at once', async () => {
    const options = settings(newBucket(), tempFolder)
    const stores = await Promise.all(Array.from({ length: 5 }, () => openS3Objects(options)))
    const { key } = (await stores[0]?.put(Buffer.from('x'), 'a/b')) ?? { key: '' }
    expect(await stores[4]?.get(key)).toHaveLength(1)
    await Promise.all(stores.map(store => store.close()))
  })

  it('ends the uploads in parts that somebody left a day ago, and no others', async () => {
    const options = settings(newBucket(), tempFolder)
    await (await openS3Objects(options)).close()
    await admin.initiateNewMultipartUpload(options.bucket, 'images/left', {})
    await admin.initiateNewMultipartUpload(options.bucket, 'others/left', {})
    const left = async () =>
      (await admin.listIncompleteUploads(options.bucket, '', true).toArray()).map(({ key }) => key)
    await (await openS3Objects(options)).close()
    expect(await left()).toEqual(['images/left', 'others/left'])
    const tomorrow = { ...systemClock, now: () => Date.now() + 25 * 3_600_000 }
    await (await openS3Objects({ ...options, clock: tomorrow })).close()
    expect(await left()).toEqual(['others/left'])
  })

  it.each<[S3Options['sse'], Record<string, string>]>([
    ['s3', { 'x-amz-server-side-encryption': 'AES256' }],
    [
      { kmsKey: 'key-1' },
      { 'x-amz-server-side-encryption': 'aws:kms', 'x-amz-server-side-encryption-aws-kms-key-id': 'key-1' },
    ],
  ])('asks for encryption with every object: %o', async (sse, expected) => {
    const asked: IncomingHttpHeaders[] = []
    // Only what is asked for can be seen here: no server on this machine has keys.
    const server = createServer((request, response) => {
      if (request.method === 'PUT') asked.push(request.headers)
      request.resume().on('end', () => response.writeHead(200).end())
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const address = server.address()
    const port = typeof address === 'object' ? address?.port : 0
    const store = await openS3Objects({
      ...settings(newBucket(), tempFolder),
      endpoint: `http://127.0.0.1:${port}`,
      sse,
    })
    await store.put(Buffer.from('x'), 'a/b')
    await store.check()
    expect(asked).toHaveLength(2)
    for (const headers of asked) expect(headers).toMatchObject(expected)
    await store.close()
    await new Promise(done => server.close(done))
  })
})
