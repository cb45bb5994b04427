/** One segment's file: made, written, read, erased in, read again after a crash. See records.ts for its form. */
import { hash, randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, open, rename, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { alignedMemory, flags, pageBytes } from '../direct.ts'
import { errno } from '../folder-keys.ts'
import { type RecordHead, readRecordHead, readSegmentHead, recordBytes, type Use } from './records.ts'

/** Where a record's head begins in the segment. */
export interface Place extends Omit<RecordHead, 'note'> {
  at: number
}

export interface Segment {
  readonly path: string
  /** Length of the file. */
  readonly bytes: number
  /** The present use. */
  use: Use
  /** Grows from use to use, of whatever segment: what came first stands in the lower one. */
  turn: number
  /** Where the next record goes. */
  end: number
  /** Up to here the present use has been written over what stood there. */
  written: number
  /** Records whose objects have no file yet. */
  live: number
  /** A write failed: nothing more is written to it. */
  broken: boolean
  /** Writes whole pages and syncs them; `memory` must begin at a page of memory. */
  write(memory: Buffer, at: number): Promise<void>
  read(at: number, length: number): Promise<Buffer>
  /** Begins a new use: what stood in it is forgotten with the first batch. */
  begin(turn: number): void
  close(): Promise<void>
  remove(): Promise<void>
}

/** Past the page cache where the file system can: the pages would be copied, and seldom read from there. */
async function openDirect(path: string, direct: number, otherwise: number): Promise<FileHandle> {
  try {
    return await open(path, direct, 0o600)
  } catch (thrown) {
    if (errno(thrown) !== 'EINVAL') throw thrown
    return open(path, otherwise, 0o600)
  }
}

async function segmentOf(path: string, bytes: number, use: Use, end: number): Promise<Segment> {
  const { O_WRONLY: write } = constants
  const writer = await openDirect(path, write | flags.direct, write | flags.dsync)
  const reader = await open(path, 'r')
  const segment: Segment = {
    path,
    bytes,
    use,
    turn: 0,
    end,
    written: end,
    live: 0,
    broken: false,
    async write(memory, at) {
      let written = 0
      while (written < memory.length)
        written += (await writer.write(memory, written, memory.length - written, at + written)).bytesWritten
    },
    async read(at, length) {
      const buffer = Buffer.allocUnsafeSlow(length)
      let have = 0
      while (have < length) {
        const { bytesRead } = await reader.read(buffer, have, length - have, at + have)
        if (bytesRead === 0) break
        have += bytesRead
      }
      return buffer.subarray(0, have)
    },
    begin(turn) {
      segment.use = randomBytes(16)
      segment.turn = turn
      segment.end = 0
      segment.written = 0
    },
    async close() {
      await Promise.allSettled([writer.close(), reader.close()])
    },
    async remove() {
      await segment.close()
      await unlink(path)
    },
  }
  return segment
}

async function syncFolderOf(path: string): Promise<void> {
  const folder = await open(dirname(path), 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** Makes a file of zeros, all its blocks there, durable with its name. @throws what the file system says: ENOSPC above all */
export async function makeSegment(path: string, bytes: number, zeros: Buffer): Promise<Segment> {
  const temporary = `${path}.new`
  const anew = constants.O_WRONLY | constants.O_CREAT
  try {
    const file = await openDirect(temporary, anew | flags.unsynced, anew)
    try {
      for (let at = 0; at < bytes; )
        at += (await file.write(zeros, 0, Math.min(zeros.length, bytes - at), at)).bytesWritten
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
    await syncFolderOf(path)
  } catch (thrown) {
    await Promise.allSettled([unlink(temporary)])
    throw thrown
  }
  return segmentOf(path, bytes, Buffer.alloc(16), 0)
}

/** Opens what another process left, and says which whole records of its last use stand in it. */
export async function reopenSegment(path: string): Promise<{ segment: Segment; records: (Place & RecordHead)[] }> {
  const file = await open(path, 'r')
  const bytes = (await file.stat()).size
  await file.close()
  const segment = await segmentOf(path, bytes, Buffer.alloc(16), bytes)
  const records: (Place & RecordHead)[] = []
  const head = readSegmentHead(await segment.read(0, pageBytes))
  if (head) {
    const { use } = Object.assign(segment, head)
    for (let at = pageBytes; at + pageBytes <= bytes; ) {
      const record = readRecordHead(await segment.read(at, pageBytes), use)
      if (!record || at + recordBytes(record.bytes) > bytes) break
      // One that is torn was not acknowledged, or erased; those after it may be whole.
      if (hash('sha256', await segment.read(at + pageBytes, record.bytes)) === record.sha256)
        records.push({ ...record, at })
      at += recordBytes(record.bytes)
    }
  }
  return { segment, records }
}

/**
 * The bytes of an object that is deleted must not be there any more either: zeros take their place, which have not its digest.
 * Its head stays: one that was torn by a power cut would hide the records behind it. Nothing before `from` is touched: another
 * use of the file has written there.
 */
export async function eraseRecord(segment: Segment, place: Place, from: number): Promise<void> {
  const end = place.at + recordBytes(place.bytes)
  const begin = Math.max(place.at + pageBytes, from)
  if (begin < end) await segment.write(alignedMemory(end - begin), begin)
}
