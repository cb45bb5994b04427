/**
 * The thread that makes files of records: many at once, since the first sync of a batch takes the metadata of all along, and
 * the others find theirs done. Calls are synchronous, as nobody waits in this thread; the thread pool, where the next images
 * are written, is left alone.
 */
import {
  closeSync,
  constants,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { parentPort } from 'node:worker_threads'
import { alignedMemory, flags, pageBytes } from '../direct.ts'
import { errno, storeError } from '../folder-keys.ts'
import { largestArrival } from './batches.ts'
import type { FilingReply, FilingRequest, Outcome, ToFile } from './filing.ts'

const memory = alignedMemory(largestArrival)

/** Past the page cache where the file system can: what is read was read when it came, and what is written is seldom read soon. */
function openDirect(path: string, how: number): number {
  try {
    return openSync(path, how | flags.unsynced, 0o600)
  } catch (thrown) {
    if (errno(thrown) !== 'EINVAL') throw thrown
    return openSync(path, how, 0o600)
  }
}

const paddedSize = (bytes: number): number => Math.ceil(bytes / pageBytes) * pageBytes

function readRecord(segment: number, { at, bytes }: ToFile): void {
  const size = paddedSize(bytes)
  for (let have = 0; have < size; ) {
    const read = readSync(segment, memory, have, size - have, at + have)
    if (read === 0) throw new Error('a segment of the arrivals is shorter than it was')
    have += read
  }
}

/** @returns the file, open, not synced */
function writeFile({ bytes, incoming }: ToFile): number {
  const file = openDirect(incoming, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL)
  try {
    const size = paddedSize(bytes)
    for (let at = 0; at < size; ) at += writeSync(file, memory, at, size - at, at)
    if (size !== bytes) ftruncateSync(file, bytes)
    return file
  } catch (thrown) {
    closeSync(file)
    throw thrown
  }
}

function syncFolder(path: string): void {
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

/** Does `work` for what has not failed, and keeps what it threw. */
function each(records: readonly ToFile[], failed: Map<ToFile, unknown>, work: (record: ToFile) => void): void {
  for (const record of records) {
    if (failed.has(record)) continue
    try {
      work(record)
    } catch (thrown) {
      failed.set(record, thrown)
    }
  }
}

function make(records: readonly ToFile[]): Outcome[] {
  const failed = new Map<ToFile, unknown>()
  const segments = new Map<string, number>()
  const files = new Map<ToFile, number>()
  each(records, failed, record => {
    const segment = segments.get(record.segment) ?? openDirect(record.segment, constants.O_RDONLY)
    segments.set(record.segment, segment)
    readRecord(segment, record)
    files.set(record, writeFile(record))
  })
  for (const segment of segments.values()) closeSync(segment)
  each([...files.keys()], failed, record => fdatasyncSync(files.get(record) ?? -1))
  for (const file of files.values()) closeSync(file)
  each(records, failed, ({ incoming, path }) => renameSync(incoming, path))
  syncFolders(records, failed)
  return records.map(record => outcomeOf(record, failed))
}

function syncFolders(records: readonly ToFile[], failed: Map<ToFile, unknown>): void {
  const folders = new Map<string, ToFile[]>()
  for (const record of records) {
    if (failed.has(record)) continue
    const folder = dirname(record.path)
    folders.set(folder, [...(folders.get(folder) ?? []), record])
  }
  for (const [folder, within] of folders) {
    try {
      syncFolder(folder)
    } catch (thrown) {
      for (const record of within) failed.set(record, thrown)
    }
  }
}

function outcomeOf(record: ToFile, failed: Map<ToFile, unknown>): Outcome {
  if (!failed.has(record)) return null
  try {
    unlinkSync(record.incoming)
  } catch {
    // Not made, or renamed already; whatever else is left is swept at the next open.
  }
  const { code, message } = storeError(failed.get(record))
  return { code, message }
}

parentPort?.on('message', ({ id, records }: FilingRequest) => {
  const reply: FilingReply = { id, outcomes: make(records) }
  parentPort?.postMessage(reply)
})
