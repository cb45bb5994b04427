/** Syncs of the folders that objects are renamed into: one handle a folder, and many renames share a sync. */
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { RaylogError } from '../schemas/errors.ts'

export interface Shards {
  /** Resolves when every rename and removal in that folder that was done before the call is on the disk. */
  sync(shard: string): Promise<void>
  close(): Promise<void>
}

/** Calls made while one runs share the next one: each is answered by a run that began after it. */
export function shared(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined
  let next: Promise<void> | undefined
  const start = (): Promise<void> => {
    next = undefined
    const run = work().finally(() => {
      if (running === run) running = undefined
    })
    running = run
    return run
  }
  return () => {
    if (!running) return start()
    next ??= running.then(start, start)
    return next
  }
}

export async function openShards(folder: string): Promise<Shards> {
  // The 256 folders themselves are entries of this one.
  const root = await openFolder(folder)
  await root?.sync()
  await root?.close()
  const opened = new Map<string, { handle: Promise<FileHandle | undefined>; sync: () => Promise<void> }>()
  let closed = false

  function shardOf(name: string) {
    const found = opened.get(name)
    if (found) return found
    const handle = openFolder(join(folder, name))
    const shard = { handle, sync: shared(async () => (await handle)?.sync()) }
    opened.set(name, shard)
    return shard
  }

  return {
    async sync(name) {
      if (closed) throw new RaylogError('stopping', 'the object store is closed')
      const shard = shardOf(name)
      try {
        await shard.sync()
      } catch (thrown) {
        // A handle tells of a failed sync once and then forgets it: the next writer gets a fresh one.
        if (opened.get(name) === shard) {
          opened.delete(name)
          await Promise.allSettled([shard.handle.then(handle => handle?.close())])
        }
        throw thrown
      }
    },
    async close() {
      closed = true
      const handles = await Promise.allSettled([...opened.values()].map(shard => shard.handle))
      opened.clear()
      for (const handle of handles) if (handle.status === 'fulfilled') await handle.value?.close()
    },
  }
}

/** Windows neither opens nor syncs a folder; NTFS journals the rename by itself. */
async function openFolder(path: string): Promise<FileHandle | undefined> {
  return process.platform === 'win32' ? undefined : open(path, 'r')
}
