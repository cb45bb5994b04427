/** Downloads of images from a real S3 by signed URLs, where the operator wants that (`gateway.presignedSeconds`). */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type StoredObject, topics } from '../../schemas/topics.ts'
import { openS3Objects } from '../../storage/s3-objects.ts'
import { type Started, startsGateways } from '../gateway/kit.ts'
import { anInstance } from '../gateway/samples.ts'
import { until } from '../harness/until.ts'
import { newBucket, openS3Kit } from './s3-kit.ts'

const pixels = Buffer.from('0123456789abcdefghij')
const path = '/api/v1/instances/in_0001/object'
const start = startsGateways()
const open = new AsyncDisposableStack()
let objects: Awaited<ReturnType<typeof openS3Objects>>
let origin: string
let stored: StoredObject

beforeAll(async () => {
  const kit = open.use(await openS3Kit())
  const tempFolder = await mkdtemp(join(tmpdir(), 'raylog-presigned-'))
  open.defer(() => rm(tempFolder, { recursive: true }))
  objects = await openS3Objects(kit.settings(newBucket(), tempFolder))
  open.defer(() => objects.close())
  origin = new URL(kit.s3.url).origin
  stored = await objects.put(pixels, 'application/dicom')
})
afterAll(() => open.disposeAsync())

async function gatewayFor(presignedSeconds: number): Promise<Started> {
  const gateway = await start({ objects, settings: { presignedSeconds } })
  const gone = { ...stored, key: stored.key.replace(/.$/, last => (last === '0' ? '1' : '0')) }
  await gateway.documents.upsert('instances', [
    anInstance(1, { object: stored, patient: 'pt_7' }),
    anInstance(2, { object: gone }),
  ])
  return gateway
}

it('sends a client with the token to the store, which gives one object and its name to a browser that has none', async () => {
  const gateway = await gatewayFor(60)
  const answer = await gateway.ask(path, { redirect: 'manual' })
  expect([answer.status, answer.headers.get('cache-control')]).toEqual([307, 'no-store'])
  const url = new URL(answer.headers.get('location') ?? '')
  expect([url.origin, url.searchParams.get('X-Amz-Expires')]).toEqual([origin, '60'])
  const given = await fetch(url)
  expect([given.status, await given.text()]).toEqual([200, pixels.toString()])
  expect(given.headers.get('content-disposition')).toBe('attachment; filename="in_0001.dcm"')
  expect(given.headers.get('content-type')).toBe('application/dicom')
  // As browsers do it: the range goes along, the token does not.
  const part = await gateway.ask(path, { headers: { range: 'bytes=5-9' } })
  expect([part.status, await part.text(), new URL(part.url).origin]).toEqual([206, '56789', origin])
  const other = new URL(url)
  other.pathname = other.pathname.replace(/.$/, last => (last === '0' ? '1' : '0'))
  expect((await fetch(other)).status).toBe(403)
})

it('tells the audit that a URL went out, and not that the image arrived', async () => {
  const gateway = await gatewayFor(60)
  await gateway.ask(path, { redirect: 'manual' })
  const entries = await until('it is on the log', async () => {
    const topic = (await gateway.log.topics()).find(({ name }) => name === topics.audit.name)
    const records = await Promise.all(
      (topic?.bounds ?? []).map(({ partition, low }) =>
        gateway.log.read({ topic: topics.audit.name, partition, offset: low }, 100),
      ),
    )
    return records.flat().length > 0 ? records.flat() : undefined
  })
  const told = await Promise.all(entries.map(entry => gateway.codec.decode(topics.audit, entry)))
  expect(told).toMatchObject([
    {
      action: 'instances-sending',
      outcome: 'success',
      detail: { patient: 'pt_7', reason: 'by a signed URL of the object store, good for 60 s' },
    },
  ])
  expect(JSON.stringify(told)).not.toContain('X-Amz')
})

it('gives nothing to whoever has no token, says itself what is gone, and answers HEAD itself', async () => {
  const gateway = await gatewayFor(60)
  const stranger = await gateway.ask(path, { redirect: 'manual', headers: { authorization: 'Bearer another' } })
  expect([stranger.status, stranger.headers.get('location')]).toEqual([401, null])
  const gone = await gateway.ask('/api/v1/instances/in_0002/object', { redirect: 'manual' })
  expect(gone.status).toBe(404)
  expect(await gone.json()).toMatchObject({ code: 'object-missing' })
  const head = await gateway.ask(path, { method: 'HEAD', redirect: 'manual' })
  expect([head.status, head.headers.get('content-length')]).toEqual([200, String(pixels.length)])
})

it('is good for as long as was said, and no longer', async () => {
  const gateway = await gatewayFor(1)
  const url = (await gateway.ask(path, { redirect: 'manual' })).headers.get('location') ?? ''
  await until('it is over', async () => (await fetch(url)).status === 403)
})

it('sends the bytes itself unless it was told otherwise', async () => {
  const gateway = await gatewayFor(0)
  const answer = await gateway.ask(path, { redirect: 'manual' })
  expect([answer.status, await answer.text()]).toEqual([200, pixels.toString()])
})
