/** Queues on MongoDB's protocol: two processes, each report once, and the other goes on where one was killed. */
import { randomUUID } from 'node:crypto'
import pino from 'pino'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type MongoDocuments, openMongoDocuments } from '../../storage/mongo-documents.ts'
import { aReport, fakeSender, openTestQueue, put } from '../harness/reports.ts'
import { openStores, type Stores } from '../harness/stores.ts'
import { until } from '../harness/until.ts'
import { startMongo } from './servers/mongo.ts'

const mongo = await startMongo()
const database = `deliver-${randomUUID()}`
const open = () => openMongoDocuments({ url: mongo.url, database, logger: pino({ level: 'silent' }) })
let files: Stores
let first: MongoDocuments
let second: MongoDocuments
beforeAll(async () => {
  ;[files, first, second] = await Promise.all([openStores(), open(), open()])
})
afterAll(async () => {
  await Promise.all([first.close(), second.close(), files.close()])
  await mongo[Symbol.asyncDispose]()
})

it('sends each report once, whichever process has the destination, and goes on when that one is gone', async () => {
  const senders = [fakeSender(), fakeSender()] as const
  const settings = { concurrency: 4 }
  const one = openTestQueue({ ...files, documents: first }, senders[0], { owner: 'one', settings })
  const two = openTestQueue({ ...files, documents: second }, senders[1], { owner: 'two', settings })
  const reports = await Promise.all(Array.from({ length: 60 }, (_, n) => aReport(files, n)))
  const over = (count: number) =>
    until(`${count} are over`, async () => (await first.count('reportDeliveries', { queue: null })) === count)
  await put({ documents: first }, reports.slice(0, 30))
  await over(30)
  // In order: it lets go of the destination, and the other need not wait for its lease to run out.
  const [holder] = (await first.find('reportQueues', { where: { destination: 'there' }, limit: 1 })).items
  await (holder?.owner === 'one' ? one : two).close()
  await put({ documents: first }, reports.slice(30))
  await over(60)
  await Promise.all([one.close(), two.close()])
  expect([...senders[0].reports, ...senders[1].reports].sort()).toEqual(reports.map(({ id }) => id).sort())
  expect([senders[0].seen.length, senders[1].seen.length]).toEqual([30, 30])
  expect(await first.countBy('reportDeliveries', 'state')).toEqual({ sent: 60 })
})
