/**
 * Objects in a folder: `<folder>/ab/<sha256>`, where `ab` are the first two hex digits. What is visible there is whole:
 * bytes go to `<folder>/incoming`, are synced, and only then renamed; the directory is synced after that.
 */
import { existsSync } from 'node:fs'
import { mkdir, open, readdir, readFile, rename, stat, unlink, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { RaylogError } from '../schemas/errors.ts'
import type { StoredObject } from '../schemas/topics.ts'
import { openArrivals } from './arrivals/arrivals.ts'
import { createFiling } from './arrivals/filing.ts'
import { withArrivals } from './arrivals/objects.ts'
import type { ArrivalsOptions } from './arrivals/port.ts'
import { type IncomingFile, openIncoming } from './folder-incoming.ts'
import { clip, errno, keyOf, keyPattern, missing, sha256, shardNames, storeError, unreadable } from './folder-keys.ts'
import { openShards } from './folder-shards.ts'
import { createWriter, orDiscard } from './object-writer.ts'
import type { ObjectRange, ObjectStore } from './objects.ts'

/** A writer keeps this much in memory before it begins a file, bytes: most images never need one of their own. */
const spillBytes = 1024 * 1024

async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (thrown) {
    throw storeError(thrown)
  }
}

export interface FolderObjectsOptions {
  folder: string
  /**
   * Whether objects that are put `soon` are kept in segments at first (arrivals/arrivals.ts). Only where no other process has
   * the store open: who holds the lock of the embedded log.
   */
  arrivals?: Pick<ArrivalsOptions, 'deliver' | 'segmentBytes' | 'maxSegments' | 'idleMs'>
}

/**
 * Opens, and makes where it is missing, an object store in `folder`. Several processes may have it open at once.
 *
 * - `get` checks the digest (object-damaged); `range`, `stream` and `local` do not: they serve those who read a part.
 * - The same bytes put again renew `modifiedAt`, so that a sweep of orphans leaves them for a while, and replace an
 *   object that the disk has damaged.
 *
 * @throws RaylogError store-full, store-unavailable
 */
export async function openFolderObjects({ folder, arrivals: wanted }: FolderObjectsOptions): Promise<ObjectStore> {
  return guarded(async () => {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const there = new Set(await readdir(folder))
    for (const name of shardNames)
      if (!there.has(name)) await mkdir(join(folder, name), { recursive: true, mode: 0o700 })
    const incoming = await openIncoming(join(folder, 'incoming'))
    const shards = await openShards(folder)
    const files = folderObjects({ folder, incoming, shards })
    if (!wanted) return files
    const filing = createFiling()
    const file: ArrivalsOptions['file'] = standing =>
      filing.make(
        standing.map(one => ({ ...one, incoming: incoming.newPath(), path: join(folder, keyOf(one.sha256)) })),
      )
    const opened = await openArrivals({ ...wanted, folder: join(folder, 'arrivals'), file })
    const store = withArrivals(files, opened)
    return {
      ...store,
      async close() {
        await store.close()
        await filing.close()
      },
    }
  })
}

interface Parts {
  folder: string
  incoming: Awaited<ReturnType<typeof openIncoming>>
  shards: Awaited<ReturnType<typeof openShards>>
}

function folderObjects({ folder, incoming, shards }: Parts): ObjectStore {
  const pathOf = (key: string): string => {
    if (!keyPattern.test(key)) throw missing(key)
    return join(folder, key)
  }

  /** Makes a synced file the object of that digest. Over an object of the same content: a rename leaves one of them. */
  async function settle(file: IncomingFile, digest: string): Promise<void> {
    await file.handle.datasync()
    await file.handle.close()
    await rename(file.path, pathOf(keyOf(digest)))
    await shards.sync(keyOf(digest).slice(0, 2))
  }

  async function put(bytes: Uint8Array, contentType: string, known?: string): Promise<StoredObject> {
    const digest = known ?? (await sha256(bytes))
    const stored = { key: keyOf(digest), sha256: digest, bytes: bytes.length, contentType }
    if (bytes.length <= spillBytes && (await isThere(pathOf(stored.key), bytes))) {
      // It may have been renamed a moment ago by a writer that has not synced the directory yet.
      await shards.sync(stored.key.slice(0, 2))
      return stored
    }
    const file = await incoming.create()
    await orDiscard(file, async () => {
      await file.handle.writeFile(bytes)
      await settle(file, digest)
    })
    return stored
  }

  async function range(key: string, wanted: ObjectRange): Promise<Buffer> {
    const file = await openObject(pathOf(key))
    try {
      const { start, length } = clip(wanted, (await file.stat()).size)
      const buffer = Buffer.allocUnsafe(length)
      let read = 0
      while (read < length) {
        const { bytesRead } = await file.read(buffer, read, length - read, start + read)
        if (bytesRead === 0) break
        read += bytesRead
      }
      return buffer.subarray(0, read)
    } finally {
      await file.close()
    }
  }

  async function stream(key: string, wanted?: ObjectRange): Promise<Readable> {
    const file = await openObject(pathOf(key))
    try {
      if (!wanted) return file.createReadStream({ start: 0, highWaterMark: 256 * 1024 })
      const { start, length } = clip(wanted, (await file.stat()).size)
      if (length > 0) return file.createReadStream({ start, end: start + length - 1, highWaterMark: 256 * 1024 })
    } catch (thrown) {
      await file.close()
      throw thrown
    }
    await file.close()
    return Readable.from([])
  }

  async function get(key: string): Promise<Buffer> {
    const path = pathOf(key)
    const bytes = await readFile(path).catch(thrown => {
      throw unreadable(path, thrown)
    })
    if (keyOf(await sha256(bytes)) !== key)
      throw new RaylogError('object-damaged', `object ${key} does not have its digest`)
    return bytes
  }

  async function statObject(key: string) {
    if (!keyPattern.test(key)) return undefined
    const found = await orMissing(pathOf(key), path => stat(path))
    return found?.isFile() ? { bytes: found.size, modifiedAt: Math.trunc(found.mtimeMs) } : undefined
  }

  async function remove(key: string): Promise<boolean> {
    if (!keyPattern.test(key)) return false
    const gone = await orMissing(pathOf(key), path => unlink(path).then(() => true))
    // Durable too: a patient who was erased must not be back after a power cut.
    if (gone) await shards.sync(key.slice(0, 2))
    return gone ?? false
  }

  async function* list() {
    for (const shard of shardNames) {
      // Read to its end before the first is handed out: whoever lists may take hours, or delete what it is given.
      for (const name of await guarded(() => readdir(join(folder, shard)))) {
        const key = `${shard}/${name}`
        const found = await guarded(() => statObject(key))
        if (found) yield { key, ...found }
      }
    }
  }

  async function check(): Promise<void> {
    const file = await incoming.create()
    try {
      await file.handle.writeFile(Buffer.alloc(4096, 1))
      await file.handle.datasync()
    } finally {
      await file.discard()
    }
  }

  return {
    writer: async () =>
      createWriter({ incoming, spillBytes, put, settle: (file, { sha256: digest }) => settle(file, digest) }),
    put: (bytes, contentType, options) => guarded(() => put(bytes, contentType, options?.sha256)),
    get: key => guarded(() => get(key)),
    range: (key, wanted) => guarded(() => range(key, wanted)),
    stream: (key, wanted) => guarded(() => stream(key, wanted)),
    stat: key => guarded(() => statObject(key)),
    delete: key => guarded(() => remove(key)),
    list,
    local: key => (keyPattern.test(key) ? pathOf(key) : undefined),
    check: () => guarded(check),
    /** Writers that are still open keep their files until they are aborted, or until the next open sweeps them. */
    close: () => shards.close(),
  }
}

/** Whether the object stands there with just these bytes; if so its time is renewed. */
async function isThere(path: string, bytes: Uint8Array): Promise<boolean> {
  // The common case, a new object, without the cost of an error.
  if (!existsSync(path)) return false
  const found = await orUndefined(readFile(path))
  if (!found?.equals(bytes)) return false
  const now = new Date()
  return (await orUndefined(utimes(path, now, now).then(() => true))) ?? false
}

async function openObject(path: string) {
  try {
    return await open(path, 'r')
  } catch (thrown) {
    throw unreadable(path, thrown)
  }
}

/** Undefined where there is no such object. @throws RaylogError where that cannot be told */
async function orMissing<T>(path: string, work: (path: string) => Promise<T>): Promise<T | undefined> {
  try {
    return await work(path)
  } catch (thrown) {
    const error = unreadable(path, thrown)
    if (error.code === 'object-missing') return undefined
    throw error
  }
}

async function orUndefined<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (thrown) {
    if (errno(thrown) === 'ENOENT') return undefined
    throw thrown
  }
}
