/** What the object store on S3 does when its server, or the way there, fails. */
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../monitoring/clock.ts'
import type { StoredObject } from '../../schemas/topics.ts'
import type { ObjectWriter } from '../../storage/objects.ts'
import { openS3Objects, type S3Objects } from '../../storage/s3-objects.ts'
import { until } from '../harness/until.ts'
import { codeOf, newBucket, openS3Kit } from './s3-kit.ts'
import { startProxy, type TcpProxy } from './tcp-proxy.ts'

const kit = await openS3Kit()
afterAll(() => kit[Symbol.asyncDispose]())
const { s3, admin, settings } = kit

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
      expect(ms).toBeLessThan(deadlineMs + 20_000)
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
    const began = Date.now()
    await another.put(bytes, 'a/b')
    expect(proxy.sent() - before).toBeGreaterThan(2_000_000)
    expect((await another.stat(stored.key))?.modifiedAt).toBeGreaterThan(began - 60_000)
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
