/** An object store of files whose newest objects may stand among the arrivals yet: nobody who asks sees the difference. */
import { Readable } from 'node:stream'
import { RaylogError } from '../../schemas/errors.ts'
import { clip, sha256 as digestOf, keyOf, keyPattern, storeError } from '../folder-keys.ts'
import type { ObjectStore } from '../objects.ts'
import type { Arrivals } from './port.ts'

const digestIn = (key: string): string | undefined => (keyPattern.test(key) ? key.slice(3) : undefined)

/** What has a file already gets it again: to look for it would cost every new one more than that costs the few. */
export function withArrivals(files: ObjectStore, arrivals: Arrivals): ObjectStore {
  /** Undefined where the object is not among the arrivals, or not any more. */
  async function read(key: string, part?: { start: number; length: number }): Promise<Buffer | undefined> {
    const digest = digestIn(key)
    try {
      return digest === undefined ? undefined : await arrivals.read(digest, part?.start, part?.length)
    } catch (thrown) {
      throw storeError(thrown)
    }
  }

  function partOf(key: string, range: { start: number; end: number }) {
    const found = arrivals.stat(digestIn(key) ?? '')
    return found && clip(range, found.bytes)
  }

  return {
    ...files,
    async put(bytes, contentType, options = {}) {
      if (!options.soon) return files.put(bytes, contentType, options)
      const sha256 = options.sha256 ?? (await digestOf(bytes))
      const key = keyOf(sha256)
      const kept = await arrivals.put(bytes, sha256).catch(() => false)
      // Where the arrivals have no room, or fail, the file says whether the store does.
      if (!kept) return files.put(bytes, contentType, { sha256 })
      return { key, sha256, bytes: bytes.length, contentType }
    },
    async putNoted(bytes, contentType, sha256, note) {
      const key = keyOf(sha256)
      const stored = { key, sha256, bytes: bytes.length, contentType }
      // Where it cannot be noted, or that fails, who puts it and says so by themselves hears why.
      const noted = await arrivals.putNoted(bytes, sha256, () => note(stored)).catch(() => false)
      return noted ? stored : undefined
    },
    async get(key) {
      const bytes = await read(key)
      if (!bytes) return files.get(key)
      if (keyOf(await digestOf(bytes)) !== key)
        throw new RaylogError('object-damaged', `object ${key} does not have its digest`)
      return bytes
    },
    async range(key, range) {
      const part = partOf(key, range)
      return (part && (await read(key, part))) ?? files.range(key, range)
    },
    async stream(key, range = { start: 0, end: Number.POSITIVE_INFINITY }) {
      const part = partOf(key, range)
      const bytes = part && (await read(key, part))
      if (!bytes) return files.stream(key, range)
      return Readable.from(bytes.length === 0 ? [] : [bytes], { objectMode: false })
    },
    stat: async key => arrivals.stat(digestIn(key) ?? '') ?? files.stat(key),
    async delete(key) {
      const wasHere = await arrivals.erase(digestIn(key) ?? '').catch(thrown => {
        throw storeError(thrown)
      })
      return (await files.delete(key)) || wasHere
    },
    async *list() {
      // Taken first: what gets its file meanwhile is not told of twice.
      const told = new Set(arrivals.keys().map(keyOf))
      for (const key of told) {
        const found = arrivals.stat(digestIn(key) ?? '') ?? (await files.stat(key))
        if (found) yield { key, ...found }
      }
      for await (const found of files.list()) if (!told.has(found.key)) yield found
    },
    lend: key => arrivals.lend(digestIn(key) ?? ''),
    local: key => (arrivals.stat(digestIn(key) ?? '') ? undefined : files.local(key)),
    async check() {
      await files.check()
      const { refused } = arrivals
      if (!refused) return
      const kept = 'images that came are kept, and their events wait beside them until the log takes them'
      throw new RaylogError(refused.code, `${kept}: ${refused.message}`, { cause: refused })
    },
    async close() {
      await arrivals.close()
      await files.close()
    },
  }
}
