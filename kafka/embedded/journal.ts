/**
 * What was appended since the database was last synced, in a file of its own, whose blocks are there from the start: a write
 * into it changes nothing but data, and its sync is one flush, where a commit of SQLite's syncs the file's inode too. Runs in
 * the SQLite thread.
 *
 *   appends alone ─▶ COMMIT, not synced ─▶ one entry here, synced ─▶ answered
 *   anything else ─▶ COMMIT, synced ─▶ what stands here is needed no more
 *   opening       ─▶ what stands here and not in the database (its end was lost in a power cut) is appended again
 *
 * An entry is whole pages: which round, its number in it, length, checksum, then the appends and where they went.
 */
import { randomBytes } from 'node:crypto'
import { closeSync, constants, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { deserialize, serialize } from 'node:v8'
import { crc32 } from 'node:zlib'
import { alignedMemory, canSync, flags, pageBytes } from '../../storage/direct.ts'
import type { PackedNew } from './wire.ts'

/** One append, and where its records went. */
export interface Appended {
  input: PackedNew
  output: { partitions: number[]; offsets: number[] }
}

export interface Journal {
  /** Durable when it returns true; false where it cannot be kept here: then the database must be synced. */
  keep(appends: readonly Appended[]): boolean
  /** Whether anything stands in it that the database may not have synced. */
  readonly holds: boolean
  /** The database is synced: a new round begins. */
  reset(): void
  close(): void
}

const journalBytes = 4 * 1024 * 1024
const roundBytes = 16
const headBytes = roundBytes + 12

/** What stands in the journal, in order; up to the first entry that is not whole. */
export function readJournal(file: string): Appended[] {
  const appends: Appended[] = []
  const bytes = readIfThere(file)
  const round = bytes.subarray(0, roundBytes)
  for (let at = 0, number = 0; at + pageBytes <= bytes.length; number++) {
    const length = bytes.readUInt32LE(at + roundBytes + 4)
    const body = bytes.subarray(at + headBytes, at + headBytes + length)
    const isNext = bytes.subarray(at, at + roundBytes).equals(round) && bytes.readUInt32LE(at + roundBytes) === number
    if (!isNext || body.length < length || length === 0 || bytes.readUInt32LE(at + roundBytes + 8) !== crc32(body))
      break
    // Written by this code alone, and whole: the checksum says so.
    const entry: readonly Appended[] = deserialize(body)
    appends.push(...entry)
    at += Math.ceil((headBytes + length) / pageBytes) * pageBytes
  }
  return appends
}

function readIfThere(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return Buffer.alloc(0)
    throw thrown
  }
}

/**
 * Made anew: what stood in it must be in the database, synced, before.
 * @returns undefined where this system cannot, or has no room for it: the database syncs each commit then
 */
export function openJournal(file: string): Journal | undefined {
  if (!canSync) return undefined
  const memory = alignedMemory(journalBytes)
  let fd: number
  try {
    fd = make(file, memory)
  } catch {
    return undefined // full, read-only: the commits say so
  }
  let round = randomBytes(roundBytes)
  let number = 0
  let at = 0
  let broken = false

  function write(body: Buffer): boolean {
    const size = Math.ceil((headBytes + body.length) / pageBytes) * pageBytes
    if (broken || at + size > journalBytes) return false
    round.copy(memory)
    memory.writeUInt32LE(number, roundBytes)
    memory.writeUInt32LE(body.length, roundBytes + 4)
    memory.writeUInt32LE(crc32(body), roundBytes + 8)
    body.copy(memory, headBytes)
    memory.fill(0, headBytes + body.length, size)
    if (writeSync(fd, memory, 0, size, at) !== size) throw new Error('the journal took a part of an entry')
    at += size
    number++
    return true
  }

  return {
    keep(appends) {
      try {
        return write(serialize(appends))
      } catch {
        broken = true // the database is synced instead, from now on
        return false
      }
    },
    get holds() {
      return number > 0
    },
    reset() {
      if (number === 0) return
      round = randomBytes(roundBytes)
      number = 0
      at = 0
    },
    close: () => closeSync(fd),
  }
}

/** A file of zeros, durable with its name. */
function make(file: string, zeros: Buffer): number {
  const temporary = `${file}.new`
  rmSync(temporary, { force: true })
  const fd = openSync(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600)
  try {
    if (writeSync(fd, zeros, 0, journalBytes, 0) !== journalBytes) throw new Error('no room for the journal')
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  renameSync(temporary, file)
  const folder = openSync(dirname(file), 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
  return openWith(file, flags.direct) ?? openSync(file, constants.O_WRONLY | flags.dsync)
}

/** Undefined where the file system has no direct writes. */
function openWith(file: string, how: number): number | undefined {
  try {
    return openSync(file, constants.O_WRONLY | how)
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'EINVAL') return undefined
    throw thrown
  }
}
