/** The object store's contract on S3, and what happens when the server is away. */
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { Client } from 'minio'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../monitoring/clock.ts'
import type { StoredObject } from '../../schemas/topics.ts'
import type { ObjectWriter } from '../../storage/objects.ts'
import { openS3Objects, type S3Objects, type S3Options } from '../../storage/s3-objects.ts'
import { objectsContract } from '../contract/objects.ts'
import { until } from '../harness/until.ts'
import { startS3 } from './servers/s3.ts'
import { startProxy, type TcpProxy } from './tcp-proxy.ts'

const s3 = await startS3()
afterAll(() => s3[Symbol.asyncDispose]())

const newBucket = () => `raylog-${randomUUID().slice(0, 8)}`

const admin = new Client({
  endPoint: '127.0.0.1',
  port: s3.port,
  useSSL: false,
  accessKey: s3.accessKey,
  secretKey: s3.secretKey,
  region: 'us-east-1',
})

const settings = (bucket: string, tempFolder: string): S3Options => ({
  endpoint: s3.url,
  bucket,
  region: 'us-east-1',
  accessKey: s3.accessKey,
  secretKey: s3.secretKey,
  sse: null,
  prefix: 'images/',
  tempFolder,
  makeBucket: true,
})

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    error => error.code ?? String(error),
  )

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

describe('an object store on S3', () => {
  const deadlineMs = 1_500
  let proxy: TcpProxy
  let store: S3Objects
  let tempFolder: string
  const bucket = newBucket()
  beforeEach(async () => {
    proxy = await startProxy(s3.port)
    tempFolder = await mkdtemp(join(tmpdir(), 'raylog-s3-'))
    store = await openS3Objects({
      ...settings(bucket, tempFolder),
      endpoint: `http://127.0.0.1:${proxy.port}`,
      deadlineMs,
    })
  })
  afterEach(async () => {
    await store.close()
    await proxy.close()
    await rm(tempFolder, { recursive: true })
  })

  async function spooled(bytes: Buffer): Promise<ObjectWriter> {
    const writer = await store.writer()
    await writer.write(bytes)
    return writer
  }

  /** Every operation, with the time that it took and the code that it ended with. */
  async function outcomes(there: string, whole: Buffer) {
    const began = performance.now()
    const writer = await spooled(whole)
    const operations: (() => Promise<unknown>)[] = [
      () => store.put(randomBytes(1000), 'a/b'),
      () => store.put(randomBytes(2_000_000), 'a/b'),
      () => writer.commit('a/b'),
      () => store.get(there),
      () => store.range(there, { start: 0, end: 9 }),
      async () => (await store.stream(there)).toArray(),
      () => store.stat(there),
      () => store.delete(`00/00${'0'.repeat(62)}`),
      async () => {
        for await (const _ of store.list()) break
      },
      () => store.check(),
    ]
    return await Promise.all(
      operations.map(async operation => {
        const code = await codeOf(operation())
        return { code, ms: performance.now() - began }
      }),
    )
  }

  it.each([
    ['cut off from its server', (by: TcpProxy) => by.cut(), (by: TcpProxy) => by.restore()],
    ['before a frozen server', async (by: TcpProxy) => by.freeze(), async (by: TcpProxy) => by.thaw()],
  ])('%s says so within its deadline, and works again by itself', async (_, fault, mend) => {
    const { key } = await store.put(randomBytes(10_000), 'a/b')
    const large = randomBytes(6_000_000)
    await fault(proxy)
    for (const { code, ms } of await outcomes(key, large)) {
      expect(code).toBe('store-unavailable')
      expect(ms).toBeLessThan(deadlineMs + 1_000)
    }
    expect(await readdir(tempFolder), 'what was spooled is gone with its writer').toEqual([])
    await mend(proxy)
    await until('the store works again', async () => (await outcomes(key, large)).every(({ code }) => code === 'done'))
  })

  /** As long as a store with the same deadline needs to give up. */
  async function deadline(): Promise<void> {
    await using frozen = await startProxy(s3.port)
    const other = await openS3Objects({
      ...settings(bucket, tempFolder),
      endpoint: `http://127.0.0.1:${frozen.port}`,
      deadlineMs,
    })
    frozen.freeze()
    expect(await codeOf(other.check())).toBe('store-unavailable')
    await other.close()
  }

  it.each([50_000, 30_000_000])('waits for a reader who is slow, of %i bytes', async size => {
    const bytes = randomBytes(size)
    const { key } = await store.put(bytes, 'a/b')
    const [untouched, begun] = await Promise.all([store.stream(key), store.stream(key)])
    const first = await begun[Symbol.asyncIterator]().next()
    await deadline()
    await deadline()
    expect(Buffer.concat(await untouched.toArray()).equals(bytes)).toBe(true)
    const rest = await begun.toArray()
    expect(Buffer.concat([first.value, ...rest]).equals(bytes)).toBe(true)
  })

  it('says so of a server that freezes in the middle of an answer', async () => {
    const { key } = await store.put(randomBytes(30_000_000), 'a/b')
    const stream = await store.stream(key)
    proxy.freeze()
    expect(await codeOf(stream.toArray())).toBe('store-unavailable')
    expect(await codeOf(store.get(key))).toBe('store-unavailable')
    proxy.thaw()
  })

  it.each([
    ['in one piece', 3_000_000],
    ['from a file', 12_000_000],
    ['in parts', 80_000_000],
  ])('shows nothing of what was interrupted midway, sent %s, and takes it the next time', async (_, size) => {
    const bytes = randomBytes(size)
    const digest = createHash('sha256').update(bytes).digest('hex')
    const writer = await spooled(bytes)
    proxy.cutAfter(size / 2)
    expect(await codeOf(writer.commit('a/b'))).toBe('store-unavailable')
    await writer.abort()
    expect(await readdir(tempFolder)).toEqual([])
    await proxy.restore()
    expect(await store.stat(`${digest.slice(0, 2)}/${digest}`)).toBeUndefined()
    const again = await spooled(bytes)
    const stored = await again.commit('a/b')
    expect(stored.sha256).toBe(digest)
    expect((await store.get(stored.key)).equals(bytes)).toBe(true)
  })

  it('goes on after one broken connection without anybody noticing', async () => {
    const bytes = randomBytes(3_000_000)
    proxy.breakAfter(1_000_000)
    const stored = await store.put(bytes, 'a/b')
    expect((await store.get(stored.key)).equals(bytes)).toBe(true)
    proxy.breakAfter(0)
    expect((await store.get(stored.key)).equals(bytes)).toBe(true)
  })

  it('has what it answered when the server is killed and started again', async () => {
    const bodies = Array.from({ length: 40 }, () => randomBytes(200_000))
    const answered: StoredObject[] = []
    const putting = Promise.all(
      bodies.map(async body => {
        const stored = await store.put(body, 'a/b').catch(error => {
          expect(error.code).toBe('store-unavailable')
        })
        if (stored) answered.push(stored)
      }),
    )
    await until('some are answered', () => answered.length > 5)
    await s3.server.kill()
    await putting
    await s3.server.start()
    for (const { key, bytes } of answered) expect(await store.get(key)).toHaveLength(bytes)
    for await (const { key } of store.list()) await store.get(key) // whole, whatever is seen
    for (const body of bodies) await store.put(body, 'a/b')
  })

  it('says that an object is damaged when its bytes are not those of its key', async () => {
    const { key } = await store.put(Buffer.from('as it was'), 'a/b')
    await admin.putObject(bucket, `images/${key}`, 'as it is!')
    expect(await codeOf(store.get(key))).toBe('object-damaged')
    await store.put(Buffer.from('as it was'), 'a/b')
    expect(await codeOf(store.get(key))).toBe('done')
  })

  it('does not send a large object that is there, unless it was put long ago', async () => {
    const bytes = randomBytes(2_000_000)
    await store.put(bytes, 'a/b')
    const before = proxy.sent()
    const stored = await store.put(bytes, 'a/b')
    expect(proxy.sent() - before).toBeLessThan(10_000)
    const later = { ...systemClock, now: () => Date.now() + 2 * 3_600_000 }
    const endpoint = `http://127.0.0.1:${proxy.port}`
    const another = await openS3Objects({ ...settings(bucket, tempFolder), endpoint, clock: later })
    await another.put(bytes, 'a/b')
    expect(proxy.sent() - before).toBeGreaterThan(2_000_000)
    expect(Date.now() - ((await another.stat(stored.key))?.modifiedAt ?? 0)).toBeLessThan(60_000)
    await another.close()
  })

  it('signs a URL that reads one object, for a while, without credentials', async () => {
    const { key } = await store.put(Buffer.from('for the viewer'), 'text/plain')
    const url = await store.presign(key, 60)
    const response = await fetch(url)
    expect([response.status, response.headers.get('content-type'), await response.text()]).toEqual([
      200,
      'text/plain',
      'for the viewer',
    ])
    expect((await fetch(url.replace(key, key.replace(/.$/, 'x')))).status).toBe(403)
    expect((await fetch(`${url.slice(0, url.indexOf('?'))}`)).status).toBe(403)
    expect(await codeOf(store.presign(key, 0))).toBe('bad-request')
    expect(await codeOf(store.presign('../etc', 60))).toBe('object-missing')
  })

  it('is stopping once it is closed', async () => {
    await store.close()
    expect(await codeOf(store.put(Buffer.from('late'), 'a/b'))).toBe('stopping')
    expect(await codeOf(store.get(`00/00${'0'.repeat(62)}`))).toBe('stopping')
  })
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
