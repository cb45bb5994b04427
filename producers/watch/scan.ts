/**
 * Which files of a folder are complete. The folder is read again and again rather than watched: that works the same on
 * network shares, in containers and for ten thousand files at once, and misses nothing.
 */
import { isUtf8 } from 'node:buffer'
import { readdir, stat } from 'node:fs/promises'

export interface FoundFile {
  /** Bytes where its name is not UTF-8, as old devices write them. */
  path: string | Buffer
  /** From the folder, with / between; for people, and its own among those of a folder. */
  name: string
  size: number
  mtimeMs: number
}

/** What is not looked at: hidden files, and those that senders rename when they are done. */
const isPartial = (name: string) => name.startsWith('.') || /\.(part|partial|tmp|crdownload)$/i.test(name)

const slash = Buffer.from('/')

/** A name as text. What is not UTF-8 is read as Latin-1, so that no two names become one. */
function decoded(bytes: Buffer): string {
  return isUtf8(bytes) ? bytes.toString('utf8') : bytes.toString('latin1')
}

/** As text where that leads to the same file, for readers of stack traces; as bytes otherwise. */
const openable = (bytes: Buffer): string | Buffer => (isUtf8(bytes) ? bytes.toString('utf8') : bytes)

/**
 * Regular files below the folder; links are not followed, for they lead elsewhere.
 * @param unreadable told of each sub-folder that cannot be read: it must not hold up the others
 * @throws what reading the folder itself does
 */
export async function filesBelow(
  folder: string,
  signal: AbortSignal,
  unreadable: (thrown: unknown) => void = () => undefined,
): Promise<FoundFile[]> {
  const found: FoundFile[] = []
  const left: { path: Buffer; name: string }[] = [{ path: Buffer.from(folder), name: '' }]
  for (let next = left.pop(); next; next = left.pop()) {
    const { path: parent, name: above } = next
    signal.throwIfAborted()
    try {
      for (const entry of await readdir(parent, { withFileTypes: true, encoding: 'buffer' })) {
        const text = decoded(entry.name)
        if (isPartial(text)) continue
        const path = Buffer.concat([parent, slash, entry.name])
        const name = above === '' ? text : `${above}/${text}`
        if (entry.isDirectory()) left.push({ path, name })
        else if (entry.isFile()) {
          // Gone again already: its sender renamed it, or it was taken.
          const { size, mtimeMs } = (await stat(path).catch(() => undefined)) ?? {}
          if (size !== undefined && mtimeMs !== undefined) found.push({ path: openable(path), name, size, mtimeMs })
        }
      }
    } catch (thrown) {
      if (above === '') throw thrown
      if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT')) unreadable(thrown)
    }
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
      const ready = files.filter(({ name, size, mtimeMs }) => {
        const before = seen.get(name)
        const same = before?.size === size && before.mtimeMs === mtimeMs
        const since = same ? before.since : now
        next.set(name, { size, mtimeMs, since })
        // A share's clock may run ahead; then what we saw ourselves decides.
        const quiet = mtimeMs <= now ? Math.max(now - mtimeMs, now - since) : now - since
        return size > 0 && quiet >= stableMs
      })
      seen = next
      return ready.sort((a, b) => a.mtimeMs - b.mtimeMs)
    },
  }
}
