/** The SQLite thread of the document store. */
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { workerData } from 'node:worker_threads'
import { LRUCache } from 'lru-cache'
import { type Collection, collections } from '../../schemas/documents.ts'
import type { Query } from '../documents.ts'
import { checkRoom, openDatabase } from './database.ts'
import { countBySql, countSql, cursorOf, findSql, isFarOff, quote, type Sql } from './documents-query.ts'
import { makeTables } from './documents-tables.ts'
import type { DocumentOperations } from './documents-wire.ts'
import { type Served, serve } from './serve.ts'

serve<DocumentOperations>(() => openDocuments(String(workerData.file)))

function openDocuments(file: string): Served<DocumentOperations> {
  const db = openDatabase(file)
  makeTables(db)
  const tables = new Map(Object.keys(collections).map(name => [name, prepare(db, name)]))
  const check = db.prepare('INSERT INTO checks VALUES (1, 1) ON CONFLICT DO UPDATE SET count = count + 1')
  const upkeep = createUpkeep(db)
  const queries = new LRUCache<string, StatementSync>({ max: 256 })
  /** How many documents a collection has, since nobody wrote to it: to count a million reads as much as the half of an index. */
  const totals = new Map<Collection, number>()

  function rows({ text, values }: Sql): ReturnType<StatementSync['all']> {
    const statement = queries.get(text) ?? db.prepare(text)
    queries.set(text, statement)
    return statement.all(...values)
  }

  function totalOf(collection: Collection): number {
    const total = totals.get(collection) ?? Number(rows(countSql(collection, {}))[0]?.n)
    totals.set(collection, total)
    return total
  }

  function pageOf(collection: Collection, query: Query, fields?: readonly string[]) {
    const total = isFarOff(collection, query) ? totalOf(collection) : undefined
    const sql = findSql(collection, query, { ...(fields && { fields }), ...(total !== undefined && { total }) })
    const found = sql.reversed ? rows(sql).toReversed() : rows(sql)
    const page = found.slice(0, sql.limit)
    const last = found.length > sql.limit ? page.at(-1) : undefined
    const next = last ? cursorOf(collection, query.order, { time: timeOf(last.time), id: String(last.id) }) : null
    return { page, next }
  }

  function table(collection: string): ReturnType<typeof prepare> {
    const found = tables.get(collection)
    if (!found) throw new Error(`no collection ${collection}`)
    return found
  }

  return {
    db,
    committed: upkeep.committed,
    reset: () => totals.clear(),
    operations: {
      upsert: {
        kind: 'write',
        run({ collection, docs }) {
          totals.delete(collection)
          for (const { id, json } of docs) table(collection).upsert.run(id, json)
          upkeep.wrote(docs.length)
          return undefined
        },
      },
      insert: {
        kind: 'write',
        run({ collection, doc }) {
          totals.delete(collection)
          upkeep.wrote(1)
          return table(collection).insert.run(doc.id, doc.json).changes === 1
        },
      },
      advance: {
        kind: 'write',
        run({ collection, doc, from }) {
          upkeep.wrote(1)
          return table(collection).advance.run(doc.json, doc.id, from).changes === 1
        },
      },
      get: {
        kind: 'read',
        run: ({ collection, ids }) =>
          ids.flatMap(id => {
            const row = table(collection).get.get(id)
            return row ? [String(row.json)] : []
          }),
      },
      find: {
        kind: 'read',
        run({ collection, query }) {
          const { page, next } = pageOf(collection, query)
          return { items: page.map(row => String(row.json)), next }
        },
      },
      list: {
        kind: 'read',
        run({ collection, fields, query }) {
          const { page, next } = pageOf(collection, query, fields)
          const names = fields.map((_, at) => `f${at}`)
          return { cells: JSON.stringify(page.flatMap(row => names.map(name => row[name]))), next }
        },
      },
      count: { kind: 'read', run: ({ collection, where }) => Number(rows(countSql(collection, where))[0]?.n) },
      countBy: {
        kind: 'read',
        run({ collection, field, where }) {
          const counts = new Map<string, number>()
          for (const row of rows(countBySql(collection, field, where))) {
            const value = String(row.value ?? '')
            counts.set(value, (counts.get(value) ?? 0) + Number(row.n))
          }
          return [...counts]
        },
      },
      delete: {
        kind: 'write',
        run({ collection, id }) {
          totals.delete(collection)
          return table(collection).remove.run(id).changes === 1
        },
      },
      check: {
        kind: 'write',
        run() {
          checkRoom(file)
          check.run()
          return undefined
        },
      },
    },
  }
}

const timeOf = (value: unknown): string | number => (typeof value === 'number' ? value : String(value))

function prepare(db: DatabaseSync, collection: string) {
  const table = quote(collection)
  return {
    // A redelivery that says the same again changes nothing, and costs no index work.
    upsert: db.prepare(
      `INSERT INTO ${table} (id, json) VALUES (?, ?)
       ON CONFLICT (id) DO UPDATE SET json = excluded.json WHERE json <> excluded.json`,
    ),
    insert: db.prepare(`INSERT INTO ${table} (id, json) VALUES (?, ?) ON CONFLICT (id) DO NOTHING`),
    advance: db.prepare(`UPDATE ${table} SET json = ? WHERE id = ? AND json_extract(json, '$.version') = ?`),
    get: db.prepare(`SELECT json FROM ${table} WHERE id = ?`),
    remove: db.prepare(`DELETE FROM ${table} WHERE id = ?`),
  } satisfies Record<keyof Pick<DocumentOperations, 'upsert' | 'insert' | 'advance' | 'get'> | 'remove', StatementSync>
}

/**
 * SQLite chooses among the indexes by what it knows of their contents: without that, a filter by site and study may walk
 * through all of the site. So it is measured (a sample: milliseconds) each time that the store has grown fourfold.
 */
function createUpkeep(db: DatabaseSync) {
  let written = 0
  let next = 256
  return {
    wrote(documents: number): void {
      written += documents
    },
    committed(): void {
      if (written < next) return
      next = Math.min(written * 4, written + 100_000)
      db.exec('PRAGMA analysis_limit = 1000; ANALYZE')
    },
  }
}
