/** The DocumentStore on MongoDB. See storage/documents.ts for the contract and docs/adr/0006 for what was chosen and why. */
import { type Document, MongoClient, type Collection as MongoCollection, MongoServerError } from 'mongodb'
import type { Logger } from 'pino'
import { type Clock, systemClock } from '../monitoring/clock.ts'
import { type Collection, collections, type Documents } from '../schemas/documents.ts'
import { RaylogError } from '../schemas/errors.ts'
import { cursorOf, declaredField, type Listing, listingOf } from './document-query.ts'
import type { DocumentStore } from './documents.ts'
import { decode, encode, type Stored } from './mongo/codec.ts'
import { duplicateKey, fromMongo } from './mongo/errors.ts'
import { createLookups, type Lookups } from './mongo/lookups.ts'
import { indexesOf, matchOf, outdatedIndexOf, pageOf, pathOf, projectionOf, valueAt } from './mongo/query.ts'
import { createUpserts, type Upserts } from './mongo/upserts.ts'
import { within } from './outage.ts'

export interface MongoDocumentsOptions {
  /** `mongodb://` or `mongodb+srv://`, with credentials, TLS and replica set as the driver takes them. */
  url: string
  database: string
  logger: Logger
  clock?: Clock
  /** An operation that takes longer ends with store-unavailable, ms. */
  deadlineMs?: number
  /** Making the indexes of a store that is already large takes as long as it takes, ms. */
  indexDeadlineMs?: number
}

export interface MongoDocuments extends DocumentStore {
  /** Bulk writes since it was opened: fewer than calls, the more come at once. */
  bulks(): number
  /** Queries by id since it was opened: fewer than calls likewise. */
  queries(): number
}

/**
 * The caller closes it. Writes are on the journals of a majority when they resolve; reads are of the primary. A call that
 * upserts several documents may be written in part when the server fails meanwhile: it rejects, and is to be repeated.
 *
 * @throws RaylogError config-invalid for a URL or credentials that are refused; store-unavailable
 */
export async function openMongoDocuments(options: MongoDocumentsOptions): Promise<MongoDocuments> {
  const { database, logger, clock = systemClock, deadlineMs = 10_000, indexDeadlineMs = 3_600_000 } = options
  await makeIndexes()
  const client = connection(options.url, deadlineMs)
  const db = client.db(database)
  let closed = false
  const upserts = new Map<Collection, Upserts>()
  const lookups = new Map<Collection, Lookups<Stored>>()

  /** By a connection of its own, which may be silent for longer than any other. */
  async function makeIndexes(): Promise<void> {
    const began = clock.now()
    const maker = connection(options.url, deadlineMs, indexDeadlineMs)
    try {
      await within(clock, deadlineMs, 'MongoDB', maker.connect())
      for (const name of collectionNames()) {
        const collection = maker.db(database).collection(name)
        await within(clock, indexDeadlineMs, 'MongoDB', collection.createIndexes(indexesOf(name)))
        const outdated = outdatedIndexOf(name)
        if (outdated) await within(clock, indexDeadlineMs, 'MongoDB', dropIndex(collection, outdated))
      }
    } catch (thrown) {
      throw refused(thrown) ?? fromMongo(thrown)
    } finally {
      await maker.close()
    }
    const took = clock.now() - began
    if (took > 5_000) logger.info({ ms: took }, 'the indexes of the document store were made')
  }

  const from = (collection: Collection): MongoCollection<Stored> => db.collection<Stored>(collection)

  async function guarded<T>(work: () => Promise<T>): Promise<T> {
    if (closed) throw new RaylogError('stopping', 'the document store is closed')
    try {
      return await within(clock, deadlineMs, 'MongoDB', work())
    } catch (thrown) {
      throw closed ? new RaylogError('stopping', 'the document store is closed') : fromMongo(thrown)
    }
  }

  function upsertsOf(collection: Collection): Upserts {
    const made = upserts.get(collection) ?? createUpserts(from(collection), work => guarded(() => work))
    upserts.set(collection, made)
    return made
  }

  function lookupsOf(collection: Collection): Lookups<Stored> {
    const query = (ids: readonly string[]) =>
      guarded(() =>
        from(collection)
          .find({ _id: { $in: [...ids] } }, { maxTimeMS: deadlineMs, batchSize: ids.length })
          .toArray(),
      )
    const made = lookups.get(collection) ?? createLookups(query)
    lookups.set(collection, made)
    return made
  }

  async function getMany<C extends Collection>(collection: C, ids: readonly string[]): Promise<Documents[C][]> {
    if (ids.length === 0) return []
    const found = await lookupsOf(collection).find(ids)
    return ids.flatMap(id => {
      const stored = found.get(id)
      return stored ? [decode<C>(stored)] : []
    })
  }

  /** @param projection of what an index has: then no document is fetched, neither of the page nor of those passed over */
  async function page(collection: Collection, listing: Listing, projection?: Document) {
    const { filter, sort } = pageOf(collection, listing)
    const limit = listing.limit + 1
    const options = { sort, limit, skip: listing.offset, batchSize: limit, maxTimeMS: deadlineMs }
    const fields = projection && { projection: { ...projection, [pathOf(collections[collection].time)]: 1 } }
    const found = await guarded(() =>
      from(collection)
        .find(filter, { ...options, ...fields })
        .toArray(),
    )
    const items = found.slice(0, listing.limit)
    const last = found.length > listing.limit ? items.at(-1) : undefined
    const next = last ? cursorOf(collection, listing.order, placeOf(collection, decode(last))) : null
    return { items, next }
  }

  return {
    queries: () => [...lookups.values()].reduce((sum, each) => sum + each.queries(), 0),
    bulks: () => [...upserts.values()].reduce((sum, each) => sum + each.bulks(), 0),
    async upsert(collection, docs) {
      const stored = docs.map(doc => encode(collection, doc))
      if (closed) throw new RaylogError('stopping', 'the document store is closed')
      if (stored.length > 0) await upsertsOf(collection).write(stored)
    },
    async insert(collection, doc) {
      const stored = encode(collection, doc)
      return await guarded(async () => {
        try {
          await from(collection).insertOne(stored)
          return true
        } catch (thrown) {
          if (thrown instanceof MongoServerError && thrown.code === duplicateKey) return false
          throw thrown
        }
      })
    },
    async advance(collection, doc) {
      const { _id, ...fields } = encode(collection, doc)
      return await guarded(async () => {
        const { matchedCount } = await from(collection).replaceOne({ _id, version: doc.version - 1 }, fields)
        return matchedCount === 1
      })
    },
    async get(collection, id) {
      const found = (await lookupsOf(collection).find([id])).get(id)
      return found && decode(found)
    },
    getMany,
    async find(collection, query = {}) {
      const listing = listingOf(collection, query)
      const found = await page(collection, listing, listing.offset < farOff ? undefined : { _id: 1 })
      if (listing.offset < farOff)
        return { items: found.items.map(stored => decode<typeof collection>(stored)), next: found.next }
      return {
        items: await getMany(
          collection,
          found.items.map(({ _id }) => _id),
        ),
        next: found.next,
      }
    },
    async list(collection, fields, query = {}) {
      const paths = fields.map(field => pathOf(declaredField(collection, field)))
      const { items, next } = await page(collection, listingOf(collection, query), projectionOf(paths))
      return { items: items.map(stored => paths.map(path => valueAt(stored, path))), next }
    },
    async count(collection, where = {}) {
      const filter = matchOf(collection, where)
      return await guarded(() => from(collection).countDocuments(filter, { maxTimeMS: deadlineMs }))
    },
    async countBy(collection, field, where = {}) {
      const path = pathOf(declaredField(collection, field))
      const stages = [{ $match: matchOf(collection, where) }, { $group: { _id: `$${path}`, n: { $sum: 1 } } }]
      const groups = await guarded(() =>
        from(collection).aggregate<{ _id?: unknown; n: number }>(stages, { maxTimeMS: deadlineMs }).toArray(),
      )
      const counts = new Map<string, number>()
      for (const { _id, n } of groups) {
        const value = String(_id ?? '')
        counts.set(value, (counts.get(value) ?? 0) + n)
      }
      return Object.fromEntries(counts)
    },
    delete: (collection, id) => guarded(async () => (await from(collection).deleteOne({ _id: id })).deletedCount === 1),
    check: () =>
      guarded(async () => {
        await db
          .collection<Stored>('checks')
          .updateOne({ _id: 'check' }, { $set: { at: clock.now() } }, { upsert: true })
      }),
    async close() {
      await Promise.all([...upserts.values()].map(each => each.idle()))
      closed = true
      await client.close()
    },
  }
}

/** From so many on those that are passed over are counted by the index alone, and the page is fetched by id. */
const farOff = 1_000

const collectionNames = (): Collection[] => Object.keys(collections).filter(isCollection)
const isCollection = (name: string): name is Collection => name in collections

/** @throws RaylogError config-invalid, without the URL: it may hold a password */
function connection(url: string, deadlineMs: number, silentMs = deadlineMs): MongoClient {
  try {
    return new MongoClient(url, {
      appName: 'raylog',
      serverSelectionTimeoutMS: deadlineMs,
      connectTimeoutMS: deadlineMs,
      waitQueueTimeoutMS: deadlineMs,
      // Frees the connection of an operation that nobody waits for any more.
      socketTimeoutMS: silentMs + 1_000,
      writeConcern: { w: 'majority', journal: true },
      readPreference: 'primary',
    })
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.name : 'not a URL'
    throw new RaylogError('config-invalid', `the address of MongoDB is refused (${reason})`)
  }
}

/** By the name that MongoDB gives it. Of processes that start at once another may have dropped it: IndexNotFound. */
async function dropIndex(collection: MongoCollection, key: Document): Promise<void> {
  const name = Object.entries(key).flat().join('_')
  try {
    await collection.dropIndex(name)
  } catch (thrown) {
    if (!(thrown instanceof MongoServerError) || thrown.code !== 27) throw thrown
  }
}

/** AuthenticationFailed, Unauthorized; IndexOptionsConflict, IndexKeySpecsConflict: waiting would not mend them. */
function refused(thrown: unknown): RaylogError | undefined {
  if (!(thrown instanceof MongoServerError) || ![18, 13, 85, 86].includes(Number(thrown.code))) return undefined
  return new RaylogError('config-invalid', `MongoDB refuses: ${String(thrown.codeName ?? thrown.code)}`)
}

/** Where a document stands in a listing. */
function placeOf(collection: Collection, doc: { id: string }) {
  const { [collections[collection].time]: time }: Record<string, unknown> = { ...doc }
  return { time: typeof time === 'number' ? time : String(time), id: doc.id }
}
