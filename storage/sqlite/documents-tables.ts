/**
 * One table a collection: the id, the JSON, and a virtual column for each field that may be filtered by. A virtual column
 * takes no room in the table and cannot disagree with the JSON; a field that is declared later is added at the next start.
 */
import type { DatabaseSync } from 'node:sqlite'
import { collections } from '../../schemas/documents.ts'
import { type Declared, fieldsOf } from '../document-query.ts'
import { quote } from './documents-query.ts'

const pathOf = (field: string): string =>
  `$${field
    .split('.')
    .map(part => `."${part}"`)
    .join('')}`

export function makeTables(db: DatabaseSync): void {
  db.exec('BEGIN IMMEDIATE')
  db.exec('CREATE TABLE IF NOT EXISTS checks (id INTEGER PRIMARY KEY, count INTEGER NOT NULL)')
  for (const [name, declared] of Object.entries(collections)) makeTable(db, name, declared)
  db.exec('COMMIT')
}

function makeTable(db: DatabaseSync, collection: string, declared: Declared): void {
  const table = quote(collection)
  const { time, filters } = declared
  db.exec(`CREATE TABLE IF NOT EXISTS ${table} (id TEXT NOT NULL PRIMARY KEY, json TEXT NOT NULL)`)
  const present = new Set(
    db
      .prepare(`PRAGMA table_xinfo(${table})`)
      .all()
      .map(row => row.name),
  )
  for (const field of fieldsOf(declared)) {
    if (present.has(field)) continue
    const path = pathOf(field).replaceAll("'", "''")
    db.exec(`ALTER TABLE ${table} ADD COLUMN ${quote(field)} AS (json_extract(json, '${path}')) VIRTUAL`)
  }
  // (time, id) ends every index: the order of the pages, whatever the filter. The site rides along, since most queries
  // name it too: counting 100,000 by role within a site then takes 8 ms from the index instead of 170 ms from the table.
  const site = filters.includes('site') ? ['site'] : []
  const index = (name: string, columns: string[]) =>
    db.exec(
      `CREATE INDEX IF NOT EXISTS ${quote(`${collection} by ${name}`)} ON ${table} (${columns.map(quote).join(', ')})`,
    )
  const carries = declared.carries ?? []
  if (time !== 'id') index(['time', ...carries].join(' with '), [time, 'id', ...carries])
  // As it was before it carried anything: two of them would be written for nothing.
  if (carries.length > 0) db.exec(`DROP INDEX IF EXISTS ${quote(`${collection} by time`)}`)
  for (const field of filters) index(field, [...new Set([field, time, 'id', ...site])])
}
