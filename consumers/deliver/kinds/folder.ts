/** A folder, such as a share that another system looks into: a file appears there whole, or not at all. */
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import type { RaylogError } from '../../../schemas/errors.ts'
import { fileKindOf, pathOf } from '../names.ts'
import { type Sender, Undelivered } from '../sender.ts'

export const folderSettings = {
  kind: z.literal('folder'),
  path: z.string().min(1).describe('made if it is missing; below it a folder a study'),
}

/** A file that came before under this name is replaced: it is the same report. */
export function folderSender({ path: root }: { path: string }): Sender {
  return {
    takes: () => true,
    newestOnly: false,
    async send({ delivery, bytes }) {
      const name = pathOf(delivery, fileKindOf(delivery.format, bytes))
      const path = join(root, name)
      try {
        await mkdir(dirname(path), { recursive: true })
        await write(path, bytes)
      } catch (thrown) {
        throw asUndelivered(thrown)
      }
      return { text: name }
    },
    close: async () => undefined,
  }
}

/** Whoever looks into the folder never sees a part of it, and what is told as sent outlives a power cut. */
async function write(path: string, bytes: Buffer): Promise<void> {
  // Hidden, so that nobody takes it for a report. One process at a time works on a destination.
  const part = join(dirname(path), `.${path.slice(dirname(path).length + 1)}.part`)
  try {
    const file = await open(part, 'w', 0o640)
    try {
      await file.writeFile(bytes)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(part, path)
  } catch (thrown) {
    await rm(part, { force: true })
    throw thrown
  }
  const folder = await open(dirname(path))
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

function asUndelivered(thrown: unknown): RaylogError {
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : 'internal'
  const full = code === 'ENOSPC' || code === 'EDQUOT'
  // The path may be a share's, with a login in it: its code says enough. It waits until somebody mends it.
  return new Undelivered(`the folder cannot be written (${code})`, {
    ...{ code: full ? 'store-full' : 'peer-unavailable', answered: false, cause: thrown },
  })
}
