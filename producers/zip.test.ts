import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { zipOf } from '../tests/harness/zip.ts'
import { openZip } from './zip.ts'

const limits = { maxEntries: 10, maxTotalBytes: 2 ** 30, maxEntryBytes: 2 ** 30, maxRatio: 1_000 }

describe('an archive', () => {
  it.skipIf(process.platform !== 'linux')('that holds an archive is refused, and its file closed (Linux)', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'raylog-zip-'))
    try {
      const path = join(folder, 'outer.zip')
      // Larger than what is read at once, so that the entry is left in the middle.
      writeFileSync(path, zipOf({ 'inner.zip': zipOf({ 'a.bin': randomBytes(2 ** 21) }) }))
      const zip = await openZip(path, limits)
      const [entry] = zip.entries
      const read = async () => {
        for await (const _ of entry?.bytes ?? []);
      }
      await expect(read()).rejects.toMatchObject({ code: 'zip-refused' })
      zip.close()
      const open = () =>
        readdirSync('/proc/self/fd').filter(fd => {
          try {
            return readlinkSync(`/proc/self/fd/${fd}`) === path
          } catch (thrown) {
            // The handle that lists the folder is gone by now.
            if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return false
            throw thrown
          }
        })
      await vi.waitFor(() => expect(open()).toEqual([]), 25_000)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
