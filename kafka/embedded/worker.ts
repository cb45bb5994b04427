/** The SQLite thread of the embedded log. */
import { workerData } from 'node:worker_threads'
import { RaylogError } from '../../schemas/errors.ts'
import { checkRoom, openDatabase } from '../../storage/sqlite/database.ts'
import { type Served, serve } from '../../storage/sqlite/serve.ts'
import { openJournal, readJournal } from './journal.ts'
import { append, offsetsAt, read, restore, trim } from './records.ts'
import { openTables } from './tables.ts'
import type { Hello, LogOperations } from './wire.ts'

/** Appends go to the ends of the tables, and who reads from further back walks along them: little is read twice. */
const cacheKb = 8_192

serve<LogOperations>(() => openLog(String(workerData.file)))

function openLog(file: string): Served<LogOperations> {
  const db = openDatabase(file, cacheKb)
  const tables = openTables(db)
  const journalFile = file.replace(/\.sqlite$/, '.journal')
  const commit = db.prepare(
    'INSERT INTO offsets VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET next = excluded.next WHERE next <> excluded.next',
  )
  const schemaOf = db.prepare('SELECT id FROM schemas WHERE text = ?')
  const addSchema = db.prepare('INSERT INTO schemas (text) VALUES (?) RETURNING id')
  const textOf = db.prepare('SELECT text FROM schemas WHERE id = ?')
  const check = db.prepare('INSERT INTO checks VALUES (1, 1) ON CONFLICT DO UPDATE SET count = count + 1')
  // The check changes something in any case, so that the commit is synced, before the journal is made anew: a process that was
  // killed leaves a database that is whole in the system's memory and not on the disk.
  db.exec('BEGIN IMMEDIATE')
  for (const appended of readJournal(journalFile)) restore(tables, appended)
  check.run()
  db.exec('COMMIT')
  const hello: Hello = { topics: tables.infos(), offsets: tables.offsets() }
  return {
    db,
    hello,
    reset: tables.reload,
    journal: openJournal(journalFile),
    touch: () => check.run(),
    operations: {
      ensureTopics: {
        kind: 'write',
        run(specs) {
          tables.ensure(specs)
          return tables.infos()
        },
      },
      append: { kind: 'write', journalled: true, run: packed => append(tables, packed) },
      read: { kind: 'read', run: input => read(tables, input), moves: ({ bytes }) => [bytes.buffer] },
      commit: {
        kind: 'write',
        run({ group, next }) {
          for (const { topic, partition, offset } of next) commit.run(group, topic, partition, offset)
          return undefined
        },
      },
      offsetsAt: { kind: 'read', run: ({ topic, time }) => offsetsAt(tables, topic, time) },
      trim: { kind: 'write', run: ({ topic, now }) => trim(tables, topic, now) },
      schemaId: { kind: 'write', run: text => Number((schemaOf.get(text) ?? addSchema.get(text))?.id) },
      schemaText: {
        kind: 'read',
        run(id) {
          const row = textOf.get(id)
          if (!row) throw new RaylogError('bad-record', `no schema has the id ${id}`)
          return String(row.text)
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
