/**
 * Upserts of one collection, written in bulks: whatever waits when the last bulk is answered goes into the next, so one
 * majority write is shared by all that came meanwhile. One bulk is under way at a time: a later write of a document is
 * never overtaken by an earlier one.
 */
import { type AnyBulkWriteOperation, type Collection, MongoBulkWriteError } from 'mongodb'
import type { RaylogError } from '../../schemas/errors.ts'
import type { Stored } from './codec.ts'
import { duplicateKey, fromMongo, fromServer } from './errors.ts'

/** Documents of one bulk, about: a call is never split here. */
const mostDocuments = 1000
/** Attempts at documents that another process inserted at the same moment: once they are there they are replaced. */
const mostRaces = 3

type Docs = ReadonlyMap<string, Stored>

interface Call {
  readonly docs: readonly Stored[]
  resolve(): void
  reject(error: RaylogError): void
}

export interface Upserts {
  /** Resolves when all of them are written. If it rejects, some may be: to write them again is safe. */
  write(docs: readonly Stored[]): Promise<void>
  /** Resolves when nothing is under way. */
  idle(): Promise<void>
  /** Bulks that were sent. */
  bulks(): number
}

/** @param within ends an operation that takes too long */
export function createUpserts(collection: Collection<Stored>, within: <T>(work: Promise<T>) => Promise<T>): Upserts {
  let waiting: Call[] = []
  let running: Promise<void> | undefined
  let sent = 0

  /** What could not be written, by id. @throws RaylogError when it is not known what was written */
  async function bulk(docs: Docs, attempt = 1): Promise<Map<string, RaylogError>> {
    const operations = [...docs.values()].map(
      (replacement): AnyBulkWriteOperation<Stored> => ({
        replaceOne: { filter: { _id: replacement._id }, replacement, upsert: true },
      }),
    )
    sent += 1
    try {
      await within(collection.bulkWrite(operations, { ordered: false }))
      return new Map()
    } catch (thrown) {
      const errors = thrown instanceof MongoBulkWriteError ? [thrown.writeErrors].flat() : []
      if (errors.length === 0) throw fromMongo(thrown)
      const ids = [...docs.keys()]
      const failed = new Map(errors.map(each => [ids[each.index] ?? '', each]))
      const raced = new Map([...docs].filter(([id]) => failed.get(id)?.code === duplicateKey))
      const errorOf = new Map([...failed].map(([id, { code, errmsg }]) => [id, fromServer(code, errmsg ?? '')]))
      if (raced.size === 0 || attempt === mostRaces) return errorOf
      for (const id of raced.keys()) errorOf.delete(id)
      return new Map([...errorOf, ...(await bulk(raced, attempt + 1))])
    }
  }

  async function settle(calls: readonly Call[]): Promise<void> {
    try {
      // Of two documents with one id the later one stays: an unordered bulk has no order of its own.
      const failed = await bulk(new Map(calls.flatMap(({ docs }) => docs.map(doc => [doc._id, doc]))))
      for (const { docs, resolve, reject } of calls) {
        const error = docs.map(({ _id }) => failed.get(_id)).find(found => found !== undefined)
        if (error) reject(error)
        else resolve()
      }
    } catch (thrown) {
      const error = fromMongo(thrown)
      if (error.entry.verdict === 'wait') {
        // All that waits behind it would wait out the same outage, each for a deadline of its own.
        const behind = waiting
        waiting = []
        for (const call of [...calls, ...behind]) call.reject(error)
      } else if (calls.length === 1) for (const call of calls) call.reject(error)
      // One of them is at fault: its neighbours must not pay for it.
      else for (const call of calls) await settle([call])
    }
  }

  function next(): Call[] {
    let documents = 0
    let count = 0
    for (const { docs } of waiting) {
      if (count > 0 && documents + docs.length > mostDocuments) break
      documents += docs.length
      count += 1
    }
    return waiting.splice(0, count)
  }

  async function run(): Promise<void> {
    await Promise.resolve() // calls of the same moment share the first bulk too
    while (waiting.length > 0) {
      await settle(next())
    }
    running = undefined
  }

  return {
    write: docs =>
      new Promise((resolve, reject) => {
        waiting.push({ docs, resolve, reject })
        running ??= run()
      }),
    async idle() {
      await running
    },
    bulks: () => sent,
  }
}
