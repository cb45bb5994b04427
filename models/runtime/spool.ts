/**
 * Where workers find objects: in their file, or where they stand in another, on this machine; by a signed URL, where the store has such; else
 * in a file that is there for as long as a worker reads it. Handing a worker the bytes instead would copy them through the
 * memory of this process and a pipe several times over, and keep its garbage collector busy for half of the time
 * (bench/notes-engine.md).
 */
import { createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import type { StoredObject } from '../../schemas/topics.ts'
import { type Incoming, openIncoming } from '../../storage/folder-incoming.ts'
import { storeError } from '../../storage/folder-keys.ts'
import type { ObjectStore } from '../../storage/objects.ts'
import type { Source } from './protocol.ts'

export interface Borrowed {
  /** Readable by every process of this user until it is released. */
  from: Source
  release(): Promise<void>
}

export type Spool = (object: Pick<StoredObject, 'key' | 'bytes'>) => Promise<Borrowed>

/** Larger ones would take a worker's time while it could run models, bytes. */
const mostFetched = 32 * 1024 * 1024
/** Longer than an image waits for its worker; one that waited longer is refused by the store, and tried again. Seconds. */
const signedFor = 3_600
const nothing = async () => undefined

/**
 * @param folder made when it is first needed; what a crash leaves in it is swept then
 * @returns gives an object a path; throws RaylogError object-missing, store-full, or what the store throws
 */
export function createSpool(
  objects: Pick<ObjectStore, 'local' | 'lend' | 'stream' | 'presign'>,
  folder: string,
): Spool {
  let opened: Promise<Incoming> | undefined

  async function copy(key: string): Promise<Borrowed> {
    opened ??= openIncoming(folder)
    const incoming = await opened.catch(thrown => {
      opened = undefined
      throw storeError(thrown)
    })
    const bytes = await objects.stream(key)
    const file = await incoming.create()
    try {
      await pipeline(bytes, createWriteStream(file.path, { flags: 'r+' }))
      return { from: { path: file.path }, release: () => file.discard() }
    } catch (thrown) {
      await file.discard()
      throw storeError(thrown)
    }
  }

  return async ({ key, bytes }) => {
    const path = objects.local(key)
    if (path !== undefined) return { from: { path }, release: nothing }
    const lent = objects.lend?.(key)
    if (lent) {
      const { start, bytes: size } = lent
      return { from: { path: lent.path, part: { start, bytes: size } }, release: async () => lent.release() }
    }
    const url = bytes <= mostFetched ? await objects.presign?.(key, signedFor) : undefined
    return url === undefined ? copy(key) : { from: { url }, release: nothing }
  }
}
