/**
 * Which files of a folder are complete. The folder is read again and again rather than watched: that works the same on
 * network shares, in containers and for ten thousand files at once, and misses nothing.
 */
import { readdir, stat } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'

export interface FoundFile {
  path: string
  /** From the folder, with / between. */
  name: string
  size: number
  mtimeMs: number
}

/** What is not looked at: hidden files, and those that senders rename when they are done. */
const isPartial = (name: string) =>
  name.split('/').some(part => part.startsWith('.')) || /\.(part|partial|tmp|crdownload)$/i.test(name)

/** Regular files below the folder; links are not followed, for they lead elsewhere. */
export async function filesBelow(folder: string, signal: AbortSignal): Promise<FoundFile[]> {
  const found: FoundFile[] = []
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    signal.throwIfAborted()
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    const name = relative(folder, path).split(sep).join('/')
    if (isPartial(name)) continue
    // Gone again already: its sender renamed it, or it was taken.
    const { size, mtimeMs } = (await stat(path).catch(() => undefined)) ?? {}
    if (size !== undefined && mtimeMs !== undefined) found.push({ path, name, size, mtimeMs })
  }
  return found
}

interface Seen {
  size: number
  mtimeMs: number
  since: number
}

/** Remembers what each file looked like, to tell when it has stopped to change. */
export function createStability(stableMs: number) {
  let seen = new Map<string, Seen>()
  return {
    /** Of the files that are there now, those that have not changed for `stableMs`, oldest first. */
    complete(files: readonly FoundFile[], now: number): FoundFile[] {
      const next = new Map<string, Seen>()
      const ready = files.filter(({ path, size, mtimeMs }) => {
        const before = seen.get(path)
        const same = before?.size === size && before.mtimeMs === mtimeMs
        const since = same ? before.since : now
        next.set(path, { size, mtimeMs, since })
        // A share's clock may run ahead; then what we saw ourselves decides.
        const quiet = mtimeMs <= now ? Math.max(now - mtimeMs, now - since) : now - since
        return size > 0 && quiet >= stableMs
      })
      seen = next
      return ready.sort((a, b) => a.mtimeMs - b.mtimeMs)
    },
  }
}
