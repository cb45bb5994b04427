/** Reports into a bucket of a real S3 server. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { destination } from '../../consumers/deliver/config.ts'
import { openSender } from '../../consumers/deliver/kinds/all.ts'
import { systemClock } from '../../monitoring/clock.ts'
import { newDelivery } from '../../schemas/report-delivery.ts'
import { aReport } from '../harness/reports.ts'
import { openStores, type Stores } from '../harness/stores.ts'
import { newBucket, openS3Kit, type S3Kit } from './s3-kit.ts'

let kit: S3Kit
let stores: Stores
let folder: string
beforeAll(async () => {
  ;[kit, stores, folder] = await Promise.all([openS3Kit(), openStores(), mkdtemp(join(tmpdir(), 'raylog-s3-'))])
})
afterAll(async () => {
  await kit[Symbol.asyncDispose]()
  await stores.close()
  await rm(folder, { recursive: true })
})

async function send(bucket: string, content: string, secretKey = kit.s3.secretKey): Promise<{ text: string }> {
  const { url: endpoint, accessKey } = kit.s3
  const settings = { name: 'bucket', kind: 's3', endpoint, bucket, accessKey, secretKey, prefix: 'reports/' }
  const around = { network: { peers: [], dicomTls: null }, documents: stores.documents, clock: systemClock }
  const sender = await openSender(destination.parse(settings), around)
  const bytes = Buffer.from(content)
  const delivery = newDelivery(await aReport(stores, 1, { format: 'csv', content: bytes }), 'bucket', Date.now())
  try {
    return await sender.send({ delivery, bytes }, new AbortController().signal)
  } finally {
    await sender.close()
  }
}

it('puts a report under a name of ids alone, and the same one again in its place', async () => {
  const bucket = newBucket()
  await kit.admin.makeBucket(bucket)
  expect(await send(bucket, 'a,b')).toEqual({ text: 'reports/st_1/csv-r1-rp_1.csv' })
  await send(bucket, 'a,b,c')
  const object = await kit.admin.getObject(bucket, 'reports/st_1/csv-r1-rp_1.csv')
  expect(Buffer.concat(await object.toArray()).toString()).toBe('a,b,c')
  const names = (await kit.admin.listObjects(bucket, '', true).toArray()).map(({ name }) => name)
  expect(names).toEqual(['reports/st_1/csv-r1-rp_1.csv'])
})

it('waits for a bucket that is not there and a login that is wrong', async () => {
  const waits = { code: 'peer-unavailable', final: false, answered: false }
  await expect(send(newBucket(), 'a')).rejects.toMatchObject(waits)
  const bucket = newBucket()
  await kit.admin.makeBucket(bucket)
  await expect(send(bucket, 'a', 'not-the-key')).rejects.toMatchObject(waits)
})
