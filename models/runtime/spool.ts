/**
 * Objects that have no file on this machine get one for as long as a worker reads it. Handing a worker the bytes instead
 * would copy them through the memory of this process and a pipe several times over, and keep its garbage collector busy
 * for half of the time (bench/notes-engine.md).
 */
import { createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { type Incoming, openIncoming } from '../../storage/folder-incoming.ts'
import { storeError } from '../../storage/folder-keys.ts'
import type { ObjectStore } from '../../storage/objects.ts'

export interface Borrowed {
  /** Readable by every process of this user until it is released. */
  path: string
  release(): Promise<void>
}

export type Spool = (key: string) => Promise<Borrowed>

/**
 * @param folder made when it is first needed; what a crash leaves in it is swept then
 * @returns gives an object a path; throws RaylogError object-missing, store-full, or what the store throws
 */
export function createSpool(objects: Pick<ObjectStore, 'local' | 'stream'>, folder: string): Spool {
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
      return { path: file.path, release: () => file.discard() }
    } catch (thrown) {
      await file.discard()
      throw storeError(thrown)
    }
  }

  return async key => {
    const path = objects.local(key)
    return path === undefined ? copy(key) : { path, release: async () => undefined }
  }
}
