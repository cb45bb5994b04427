/** Files that are being written and are not objects yet. Whatever a crash left of them is swept at the next open. */
import { createHash, randomUUID } from 'node:crypto'
import { type FileHandle, mkdir, open, readdir, stat, unlink } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'

export interface IncomingFile {
  readonly path: string
  readonly handle: FileHandle
  /** Closes and removes it. Never throws: what could not be removed now is swept at the next open. */
  discard(): Promise<void>
}

export interface Incoming {
  create(): Promise<IncomingFile>
  /** Of a file that another thread makes: the name that the sweep knows. */
  newPath(): string
}

/** A file of another machine, or of a process id that was given out again, is left alone for so long, ms. */
const strangerMs = 24 * 60 * 60 * 1000

const host = createHash('sha256').update(hostname()).digest('hex').slice(0, 8)

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (thrown) {
    // EPERM: it lives, under another user.
    return thrown instanceof Error && 'code' in thrown && thrown.code === 'EPERM'
  }
}

/** Names are `<host>-<pid>-<uuid>`: another process may be writing here, and its files must stay. */
function abandoned(name: string, modifiedAt: number, now: number): boolean {
  const [from, pid] = name.split('-')
  const here = from === host
  // In a container every run has the same process id: what is older than this process is not of this process.
  if (here && Number(pid) === process.pid) return modifiedAt < now - process.uptime() * 1000
  return now - modifiedAt > strangerMs || (here && !alive(Number(pid)))
}

async function sweep(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name)
    const found = await stat(path).catch(() => undefined) // finished, or swept by another process, in the meantime
    if (found?.isFile() && abandoned(name, found.mtimeMs, Date.now())) await Promise.allSettled([unlink(path)])
  }
}

/** Makes the folder, and sweeps what a crash left in it. It must be on the file system that the objects are on. */
export async function openIncoming(folder: string): Promise<Incoming> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await sweep(folder)
  const newPath = () => join(folder, `${host}-${process.pid}-${randomUUID()}`)
  return {
    newPath,
    async create() {
      const path = newPath()
      const handle = await open(path, 'wx', 0o600)
      return {
        path,
        handle,
        async discard() {
          await Promise.allSettled([handle.close()])
          await Promise.allSettled([unlink(path)])
        },
      }
    },
  }
}
