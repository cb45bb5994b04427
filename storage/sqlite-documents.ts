/** The embedded DocumentStore: SQLite in a thread of this process. See storage/documents.ts for the contract. */
import { join } from 'node:path'
import type { Collection, Documents } from '../schemas/documents.ts'
import { checkedId } from './document-query.ts'
import type { DocumentStore, FilterValue } from './documents.ts'
import type { DocumentOperations, StoredDocument } from './sqlite/documents-wire.ts'
import { openThread } from './sqlite/thread.ts'

export interface SqliteDocumentsOptions {
  /** Made if it is missing; the store is `documents.sqlite` in it. */
  folder: string
}

export interface SqliteDocuments extends DocumentStore {
  /** Transactions that were committed since the file was opened. */
  commits(): number
  /** Ends the database thread as a fault would. It is opened again by what is asked next. */
  killThread(): Promise<void>
}

/** The caller closes it. @throws RaylogError data-in-use, store-full, store-unavailable */
export async function openSqliteDocuments({ folder }: SqliteDocumentsOptions): Promise<SqliteDocuments> {
  const thread = await openThread<DocumentOperations>({
    module: new URL('./sqlite/documents-worker.ts', import.meta.url),
    data: { file: join(folder, 'documents.sqlite') },
    unavailable: 'store-unavailable',
  })
  return {
    commits: thread.commits,
    killThread: thread.kill,
    async upsert(collection, docs) {
      if (docs.length === 0) return
      const stored = docs.map(doc => store(collection, doc))
      await thread.call('upsert', { collection, docs: stored }, sizeOf(stored))
    },
    async insert(collection, doc) {
      const stored = store(collection, doc)
      return await thread.call('insert', { collection, doc: stored }, sizeOf([stored]))
    },
    async advance(collection, doc) {
      const stored = store(collection, doc)
      return await thread.call('advance', { collection, doc: stored, from: doc.version - 1 }, sizeOf([stored]))
    },
    async get(collection, id) {
      const [json] = await thread.call('get', { collection, ids: [id] })
      return json === undefined ? undefined : JSON.parse(json)
    },
    async getMany(collection, ids) {
      if (ids.length === 0) return []
      const found = await thread.call('get', { collection, ids })
      return found.map(json => JSON.parse(json))
    },
    async find(collection, query = {}) {
      const { items, next } = await thread.call('find', { collection, query })
      return { items: items.map(json => JSON.parse(json)), next }
    },
    async list(collection, fields, query = {}) {
      const { cells: json, next } = await thread.call('list', { collection, fields, query })
      const cells: FilterValue[] = JSON.parse(json)
      const { length } = fields
      const items = Array.from({ length: cells.length / length }, (_, at) =>
        cells.slice(at * length, (at + 1) * length),
      )
      return { items, next }
    },
    count: (collection, where = {}) => thread.call('count', { collection, where }),
    async countBy(collection, field, where = {}) {
      return Object.fromEntries(await thread.call('countBy', { collection, field, where }))
    },
    delete: (collection, id) => thread.call('delete', { collection, id }),
    check: () => thread.call('check', undefined),
    close: thread.close,
  }
}

const store = <C extends Collection>(collection: C, doc: Documents[C]): StoredDocument => ({
  id: checkedId(collection, doc),
  json: JSON.stringify(doc),
})

/** About: in UTF-16 units, which is near enough for a bound. */
const sizeOf = (docs: readonly StoredDocument[]): number =>
  docs.reduce((sum, { json }) => sum + json.length, 256 * docs.length)
