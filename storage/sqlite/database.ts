/** Opens a SQLite file as Raylog wants it, and says what SQLite's errors mean. Runs in a thread of its own. */
import { mkdirSync, statfsSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { RaylogError, toRaylogError } from '../../schemas/errors.ts'

/** For databases whose statements are written elsewhere: only this folder imports the driver. */
export type { DatabaseSync, StatementSync } from 'node:sqlite'

/** Primary result codes, https://sqlite.org/rescode.html */
const codes = { busy: 5, locked: 6, readOnly: 8, ioError: 10, corrupt: 11, full: 13, cannotOpen: 14, notADatabase: 26 }

function resultCode(thrown: unknown): number | undefined {
  if (!(thrown instanceof Error) || !('errcode' in thrown) || typeof thrown.errcode !== 'number') return undefined
  return thrown.errcode & 0xff
}

/**
 * WAL with synchronous=FULL: a commit is one append to the log file and one fsync, and survives a power cut.
 *
 * locking_mode=EXCLUSIVE: the file is locked (fcntl) as long as it is open, so a second process is told at once instead
 * of interleaving its writes; the kernel drops the lock when the process dies, however it dies. It also keeps the index
 * of the WAL in this process's memory: there is no -shm file, whose mapping would raise SIGBUS on a full disk. The price
 * is that nobody else reads the file, a second thread of ours neither: reads share the thread, between two commits.
 * No other code of this process may open and close the file: that would drop the lock, as fcntl locks do.
 *
 * @param cacheKb pages kept in memory, KiB
 * @throws RaylogError data-in-use where another process has it; store-full, store-unavailable
 */
export function openDatabase(file: string, cacheKb = 32_768): DatabaseSync {
  let db: DatabaseSync | undefined
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    db = new DatabaseSync(file, { timeout: 0 })
    db.exec('PRAGMA locking_mode = EXCLUSIVE')
    db.exec('PRAGMA journal_mode = WAL')
    db.exec('PRAGMA synchronous = FULL')
    // Larger than the default of 1000 pages: a checkpoint is two more fsyncs and holds up the commit that meets it.
    db.exec('PRAGMA wal_autocheckpoint = 4000')
    db.exec('PRAGMA journal_size_limit = 67108864')
    db.exec(`PRAGMA cache_size = ${-cacheKb}`)
    db.exec('PRAGMA temp_store = MEMORY')
    // Takes the lock now, not at the first write.
    db.exec('BEGIN IMMEDIATE; COMMIT')
    return db
  } catch (thrown) {
    db?.close()
    throw fromSqlite(thrown, file)
  }
}

/** @param file named in the message where the database cannot be opened */
export function fromSqlite(thrown: unknown, file?: string): RaylogError {
  if (thrown instanceof RaylogError) return thrown
  const error = thrown instanceof Error ? thrown : new Error(String(thrown))
  const where = file === undefined ? '' : ` (${file})`
  const say = (code: 'data-in-use' | 'store-full' | 'store-unavailable') =>
    new RaylogError(code, `${error.message}${where}`, { cause: error })
  switch (resultCode(error)) {
    case codes.busy:
    case codes.locked:
      return say('data-in-use')
    case codes.full:
      return say('store-full')
    case codes.ioError:
    case codes.readOnly:
    case codes.cannotOpen:
    case codes.corrupt:
    case codes.notADatabase:
      return say('store-unavailable')
    default:
      return toRaylogError(error)
  }
}

/** With less room than this the next records will not fit, though a small write still may; bytes. */
const leastRoom = 1024 * 1024

/** @throws RaylogError store-full when the disk of the file has next to no room left */
export function checkRoom(file: string): void {
  const { bavail, bsize } = statfsSync(dirname(file))
  if (bavail * bsize < leastRoom) throw new RaylogError('store-full', `less than ${leastRoom} bytes are free (${file})`)
}

/**
 * After these the connection is not to be trusted: after a failed fsync the kernel may have dropped the pages that it
 * could not write, so only what a fresh opening finds in the file is known to be there.
 */
export function needsReopening(thrown: unknown): boolean {
  const code = resultCode(thrown instanceof RaylogError ? thrown.cause : thrown)
  return code === codes.ioError || code === codes.corrupt || code === codes.notADatabase || code === codes.cannotOpen
}
