/** Keys, digests, ranges and errors of the folder object store. */
import { hash, webcrypto } from 'node:crypto'
import { existsSync } from 'node:fs'
import { dirname, sep } from 'node:path'
import { RaylogError, toRaylogError } from '../schemas/errors.ts'
import type { ObjectRange } from './objects.ts'

/** `ab/ab…`: nothing that a path could be made of passes. */
export const keyPattern = /^([0-9a-f]{2})\/\1[0-9a-f]{62}$/

/** 256 folders: ten million objects are forty thousand a folder, which ext4, XFS, APFS and NTFS look up without a scan. */
export const shardNames: readonly string[] = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'))

export const keyOf = (digest: string): string => `${digest.slice(0, 2)}/${digest}`

/** The key is told only where it is one of ours: any other text came from outside. */
export const missing = (key: string): RaylogError =>
  new RaylogError('object-missing', keyPattern.test(key) ? `there is no object ${key}` : 'that is no key of an object')

export const errno = (thrown: unknown): unknown =>
  thrown instanceof Error && 'code' in thrown ? thrown.code : undefined

/** What the file system says is an outage, waited out: a folder that is gone or read-only is never the image's fault. */
export function storeError(thrown: unknown): RaylogError {
  const error = toRaylogError(thrown)
  if (error.code !== 'internal' || typeof errno(thrown) !== 'string') return error
  return new RaylogError('store-unavailable', error.message, { cause: thrown })
}

/**
 * What it means that the file of an object cannot be read. Its folder was made when the store was opened: where that is not
 * there either, a share or disk is away, and every object would seem to be gone.
 */
export function unreadable(path: string, thrown: unknown): RaylogError {
  if (errno(thrown) !== 'ENOENT') return storeError(thrown)
  if (existsSync(dirname(path))) return missing(path.split(sep).slice(-2).join('/'))
  return new RaylogError('store-unavailable', 'the folder of the objects is away', { cause: thrown })
}

const unshared = (bytes: Uint8Array): bytes is Uint8Array<ArrayBuffer> => bytes.buffer instanceof ArrayBuffer

/**
 * SHA-256, hex. On the thread pool from a megabyte on. Below, the hand-over and the copy that the pool wants cost more than
 * the half millisecond that is saved here.
 */
export async function sha256(bytes: Uint8Array): Promise<string> {
  if (bytes.length <= 1_048_576 || !unshared(bytes)) return hash('sha256', bytes)
  return Buffer.from(await webcrypto.subtle.digest('SHA-256', bytes)).toString('hex')
}

/** The part of a range that an object of `size` bytes has. @throws RaylogError bad-request for what is no range */
export function clip(range: ObjectRange, size: number): { start: number; length: number } {
  if (!(Number.isSafeInteger(range.start) && range.start >= 0 && range.end >= range.start))
    throw new RaylogError('bad-request', 'a range begins at 0 or later and does not end before it begins')
  return { start: range.start, length: Math.max(0, Math.min(range.end, size - 1) - range.start + 1) }
}
