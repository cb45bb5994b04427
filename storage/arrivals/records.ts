/**
 * The form of a segment of arrivals: a file of fixed length whose blocks are written before it is used, so that a write into
 * it changes nothing but data and its sync is one flush of the disk.
 *
 *   page 0: head of the segment: which use of the file this is, and its number among the uses of all (0: not counted yet)
 *   then records, each from a page on: a page with its head and its note, the object's bytes, zeros to the end of the page
 *
 * A record belongs to the segment's present use if its head says so and adds up; its bytes are whole if they have their
 * digest. Records are written one batch after the other: behind the last batch that was acknowledged stands at most one that
 * was torn, and what an earlier use left.
 */
import { crc32 } from 'node:zlib'
import { pageBytes } from '../direct.ts'

/** A use of a segment's file, 16 random bytes. */
export type Use = Buffer

export interface RecordHead {
  /** Hex. */
  sha256: string
  bytes: number
  /** What must not be lost either once the object is durable (notes.ts); empty: nothing. */
  note: Buffer
}

export const noNote = Buffer.alloc(0)

const segmentMagic = 'RAYLSEG1'
const recordMagic = 'RAYLOBJ1'
const useAt = 8
const digestAt = 24
const turnAt = 24
const sizeAt = 56
const noteSizeAt = 60
const noteAt = 62
const sumAt = pageBytes - 4

/** What is left of the page of a record's head, bytes. */
export const largestNote = sumAt - noteAt

/** From one record to the next, bytes. */
export const recordBytes = (bytes: number): number => pageBytes + Math.ceil(bytes / pageBytes) * pageBytes

function sealed(page: Buffer): void {
  page.writeUInt32LE(crc32(page.subarray(0, sumAt)), sumAt)
}

function isSealed(page: Buffer, magic: string): boolean {
  if (page.length < pageBytes || page.toString('latin1', 0, magic.length) !== magic) return false
  return page.readUInt32LE(sumAt) === crc32(page.subarray(0, sumAt))
}

/** @param turn its number among the uses of all segments, from 1 on */
export function writeSegmentHead(page: Buffer, use: Use, turn: number): void {
  page.fill(0, 0, pageBytes)
  page.write(segmentMagic, 0, 'latin1')
  use.copy(page, useAt)
  page.writeUIntLE(turn, turnAt, 6)
  sealed(page.subarray(0, pageBytes))
}

/** @returns undefined where the file was never used, or its first batch was torn: nothing in it was acknowledged then */
export function readSegmentHead(page: Buffer): { use: Use; turn: number } | undefined {
  if (!isSealed(page, segmentMagic)) return undefined
  return { use: Buffer.from(page.subarray(useAt, turnAt)), turn: page.readUIntLE(turnAt, 6) }
}

export function writeRecordHead(page: Buffer, use: Use, { sha256, bytes, note }: RecordHead): void {
  page.fill(0, 0, pageBytes)
  page.write(recordMagic, 0, 'latin1')
  use.copy(page, useAt)
  page.write(sha256, digestAt, 'hex')
  page.writeUInt32LE(bytes, sizeAt)
  page.writeUInt16LE(note.length, noteSizeAt)
  note.copy(page, noteAt)
  sealed(page.subarray(0, pageBytes))
}

/** @returns undefined where no record of this use begins */
export function readRecordHead(page: Buffer, use: Use): RecordHead | undefined {
  if (!isSealed(page, recordMagic) || !page.subarray(useAt, digestAt).equals(use)) return undefined
  return {
    sha256: page.toString('hex', digestAt, sizeAt),
    bytes: page.readUInt32LE(sizeAt),
    note: Buffer.from(page.subarray(noteAt, noteAt + page.readUInt16LE(noteSizeAt))),
  }
}
