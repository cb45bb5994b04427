/** The document store's contract on MongoDB's protocol, and what happens when the server is away. */
import { randomUUID } from 'node:crypto'
import { inspect } from 'node:util'
import { MongoClient } from 'mongodb'
import pino from 'pino'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { DeliveryDoc, ParkedDoc } from '../../schemas/documents.ts'
import { type MongoDocuments, openMongoDocuments } from '../../storage/mongo-documents.ts'
import { dicomQueryContract } from '../contract/dicom-query.ts'
import { documentsContract } from '../contract/documents.ts'
import { until } from '../harness/until.ts'
import { startMongo } from './servers/mongo.ts'
import { startProxy, type TcpProxy } from './tcp-proxy.ts'

const mongo = await startMongo()
afterAll(() => mongo[Symbol.asyncDispose]())
const logger = pino({ level: 'silent' })

const delivery = (id: string, message: string | null = null): DeliveryDoc => ({
  id,
  subject: 's',
  study: 'st',
  channel: 'webhook',
  destination: 'd',
  state: 'claimed',
  attempts: 0,
  code: null,
  message: message ?? id,
  claimedAt: 1,
  finishedAt: null,
})

const parked: ParkedDoc = {
  id: '',
  stage: 'infer',
  topic: 't',
  partition: 0,
  offset: 0,
  key: 'k',
  value: '',
  headers: {},
  subject: null,
  code: 'internal',
  message: '',
  attempts: 1,
  at: 1,
  state: 'parked',
}

dicomQueryContract('MongoDB', async () => {
  const store = await openMongoDocuments({ url: mongo.url, database: `query-${randomUUID()}`, logger })
  return { store, close: () => store.close() }
})

documentsContract('MongoDB', async () => {
  const database = `contract-${randomUUID()}`
  const open = () => openMongoDocuments({ url: mongo.url, database, logger })
  let store = await open()
  return {
    store,
    async reopen() {
      // The server keeps its data in memory, so what is ended is the client.
      store = await open()
      return store
    },
    close: () => store.close(),
  }
})

describe('a document store on MongoDB', () => {
  const deadlineMs = 1_500
  let proxy: TcpProxy
  let store: MongoDocuments
  beforeEach(async () => {
    proxy = await startProxy(mongo.port)
    store = await openMongoDocuments({
      url: `mongodb://127.0.0.1:${proxy.port}`,
      database: `faults-${randomUUID()}`,
      logger,
      deadlineMs,
    })
  })
  afterEach(async () => {
    await store.close()
    await proxy.close()
  })

  /** Every operation, with the time that it took and the code that it ended with. */
  async function outcomes() {
    const began = performance.now()
    const operations: (() => Promise<unknown>)[] = [
      () => store.upsert('deliveries', [delivery('u')]),
      () => store.insert('deliveries', delivery('i')),
      () => store.get('deliveries', 'there'),
      () => store.getMany('deliveries', ['there']),
      () => store.find('deliveries'),
      () => store.count('deliveries'),
      () => store.countBy('deliveries', 'state'),
      () => store.delete('deliveries', 'nobody'),
      () => store.check(),
    ]
    return await Promise.all(
      operations.map(async operation => {
        const code = await operation().then(
          () => 'done',
          error => error.code,
        )
        return { code, ms: performance.now() - began }
      }),
    )
  }
  const worksAgain = () =>
    until('the store works again', async () => (await outcomes()).every(({ code }) => code === 'done'))

  it.each([
    ['cut off from its server', (by: TcpProxy) => by.cut(), (by: TcpProxy) => by.restore()],
    ['before a frozen server', async (by: TcpProxy) => by.freeze(), async (by: TcpProxy) => by.thaw()],
  ])('%s says so within its deadline, and works again by itself', async (_, fault, mend) => {
    await store.upsert('deliveries', [delivery('there')])
    await fault(proxy)
    for (const { code, ms } of await outcomes()) {
      expect(code).toBe('store-unavailable')
      expect(ms).toBeLessThan(deadlineMs + 20_000)
    }
    await mend(proxy)
    await worksAgain()
    expect((await store.get('deliveries', 'there'))?.id).toBe('there')
  })

  it('neither loses nor invents what it answered while connections break', async () => {
    const answered: string[] = []
    let stop = false
    const writing = Array.from({ length: 16 }, async (_, lane) => {
      for (let n = 0; !stop; n++) {
        const id = `${lane}-${n}`
        const code = await store.upsert('deliveries', [delivery(id)]).then(
          () => 'done',
          error => error.code,
        )
        if (code === 'done') answered.push(id)
        else expect(code).toBe('store-unavailable')
      }
    })
    for (let breaks = 0; breaks < 5; breaks++) {
      const before = answered.length
      await until('writes go on', () => answered.length > before + 20)
      await proxy.cut()
      await proxy.restore()
    }
    stop = true
    await Promise.all(writing)
    await worksAgain()
    expect(await store.getMany('deliveries', answered)).toHaveLength(answered.length)
  })

  it('does not open before a server that is away, says so in time, and leaves nothing open', async () => {
    await proxy.cut()
    const began = performance.now()
    const url = `mongodb://127.0.0.1:${proxy.port}`
    await expect(openMongoDocuments({ url, database: 'x', logger, deadlineMs })).rejects.toMatchObject({
      code: 'store-unavailable',
    })
    expect(performance.now() - began).toBeLessThan(deadlineMs + 20_000)
    await proxy.restore()
  })

  it('refuses what is no address, without repeating its password', async () => {
    const url = 'mongodb://raylog:p4ssw0rd@:99999/?what'
    const error = await openMongoDocuments({ url, database: 'x', logger }).catch(thrown => thrown)
    expect(error).toMatchObject({ code: 'config-invalid' })
    expect(inspect(error)).not.toContain('p4ssw0rd')
  })

  it('is stopping once it is closed, and closes after what is under way', async () => {
    const writes = Array.from({ length: 50 }, (_, n) => store.upsert('deliveries', [delivery(`${n}`)]))
    await store.close()
    await Promise.all(writes)
    await expect(store.upsert('deliveries', [delivery('late')])).rejects.toMatchObject({ code: 'stopping' })
    await expect(store.get('deliveries', 'x')).rejects.toMatchObject({ code: 'stopping' })
    await store.close()
  })
})

describe('documents in MongoDB', () => {
  const database = `kept-${randomUUID()}`
  let store: MongoDocuments
  let client: MongoClient
  beforeAll(async () => {
    store = await openMongoDocuments({ url: mongo.url, database, logger })
    client = await new MongoClient(mongo.url).connect()
  })
  afterAll(async () => {
    await store.close()
    await client.close()
  })

  it('have an index for each declared filter in the order of the pages, made once however often it is opened', async () => {
    const again = await openMongoDocuments({ url: mongo.url, database, logger })
    await again.close()
    const indexes = await client.db(database).collection('predictions').indexes()
    expect(indexes.map(({ key }) => Object.keys(key).join(' ')).toSorted()).toEqual([
      '_id',
      'instance predictedAt _id',
      'label predictedAt _id',
      'model.name predictedAt _id',
      'predictedAt _id',
      'role predictedAt _id',
      'site predictedAt _id',
      'study predictedAt _id',
    ])
    const patients = await client.db(database).collection('patients').indexes()
    expect(patients.map(({ key }) => Object.keys(key).join(' ')).toSorted()).toEqual(['_id', 'site _id'])
  })

  it('lose the index of an older version that a larger one has replaced, and no other', async () => {
    const studies = client.db(database).collection('dicomStudies')
    const keys = async () => (await studies.indexes()).map(({ key }) => Object.keys(key).join(' ')).toSorted()
    const before = await keys()
    expect(before).toContain('at _id mark')
    await studies.createIndex({ at: 1, _id: 1 })
    expect(await keys()).toContain('at _id')
    const again = await Promise.all([1, 2].map(() => openMongoDocuments({ url: mongo.url, database, logger })))
    for (const each of again) await each.close()
    expect(await keys()).toEqual(before)
  })

  it('are written whole under their id, many calls in one write', async () => {
    const before = store.bulks()
    await Promise.all(Array.from({ length: 500 }, (_, n) => store.upsert('deliveries', [delivery(`kept-${n}`)])))
    expect(store.bulks() - before).toBeLessThan(5)
    const kept = await client.db(database).collection<{ _id: string }>('deliveries').findOne({ _id: 'kept-7' })
    const { id: _, ...fields } = delivery('kept-7')
    expect(kept).toEqual({ _id: 'kept-7', ...fields })
  })

  it('are found by id, many look-ups in one query, each getting its own', async () => {
    await store.upsert(
      'deliveries',
      Array.from({ length: 300 }, (_, n) => delivery(`found-${n}`)),
    )
    const before = store.queries()
    const found = await Promise.all(Array.from({ length: 400 }, (_, n) => store.get('deliveries', `found-${n}`)))
    expect(found.map(doc => doc?.id)).toEqual(
      Array.from({ length: 400 }, (_, n) => (n < 300 ? `found-${n}` : undefined)),
    )
    expect(store.queries() - before).toBeLessThan(5)
  })

  it('come back with names of fields that mean something to MongoDB or its driver', async () => {
    const names = [
      'a.b',
      '$set',
      '$',
      '%',
      '%24set',
      '%_id',
      '_bsontype',
      '__proto__',
      'a\0b',
      'id',
      '_id',
      '100%',
      'ü.像',
    ]
    const headers = Object.fromEntries(names.map(name => [name, name]))
    const doc = { ...parked, id: 'names', headers }
    await store.upsert('parked', [doc])
    expect(await store.insert('parked', { ...doc, id: 'names again' })).toBe(true)
    for (const id of ['names', 'names again']) {
      const found = await store.get('parked', id)
      expect(Object.entries(found?.headers ?? {}).toSorted()).toEqual(Object.entries(headers).toSorted())
    }
  })

  it('that are too large, or that another index refuses, fail alone', async () => {
    const collection = client.db(database).collection('deliveries')
    await collection.createIndex({ message: 1 }, { unique: true, name: 'of somebody else' })
    await collection.deleteMany({})
    const writes = ['a', 'b', 'c', 'b', 'd'].map((message, n) =>
      store.upsert('deliveries', [delivery(`alone-${n}`, message)]),
    )
    const codes = (await Promise.allSettled(writes)).map(each =>
      each.status === 'rejected' ? each.reason.code : 'done',
    )
    expect(codes.toSorted()).toEqual(['done', 'done', 'done', 'done', 'internal'])
    await collection.dropIndex('of somebody else')
    const large = store.upsert('deliveries', [delivery('large', 'x'.repeat(17_000_000))])
    await Promise.all([
      expect(large).rejects.toMatchObject({ code: 'too-large' }),
      store.upsert('deliveries', [delivery('small')]),
    ])
  })

  it('of two processes that write the same one at once are written by both', async () => {
    const other = await openMongoDocuments({ url: mongo.url, database, logger })
    await Promise.all(
      Array.from({ length: 200 }, async (_, n) => {
        const doc = delivery(`both-${n}`)
        await Promise.all([store.upsert('deliveries', [doc]), other.upsert('deliveries', [doc])])
      }),
    )
    await other.close()
  })
})
