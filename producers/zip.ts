/**
 * Images in a ZIP archive (yauzl). The names in it are labels and never paths, so tricks with them do nothing. Everything
 * that can be known from its directory is checked before the first entry is unpacked.
 */
import { close, open } from 'node:fs'
import { open as openFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { type Entry, fromFdPromise, type ZipFile } from 'yauzl'
import { RaylogError } from '../schemas/errors.ts'
import { chunksOf, peek, readPlainly, unopened } from './bytes.ts'

const openFd = promisify(open)
const closeFd = promisify(close)

export interface ZipLimits {
  maxEntries: number
  /** Unpacked, all entries together, bytes. */
  maxTotalBytes: number
  /** Unpacked, one entry, bytes. */
  maxEntryBytes: number
  /** Unpacked bytes for each packed one, of the whole archive. */
  maxRatio: number
}

export interface ZipEntry {
  /** As in the archive, for people: not a path. */
  name: string
  bytes: AsyncIterable<Buffer>
}

/** Local file header, or the end of an empty archive (APPNOTE 4.3.7, 4.3.16). */
export function isZip(head: Uint8Array): boolean {
  return head[0] === 0x50 && head[1] === 0x4b && ((head[2] === 3 && head[3] === 4) || (head[2] === 5 && head[3] === 6))
}

const refused = (message: string, cause?: unknown) => new RaylogError('zip-refused', message, { cause })

/** File names hold no control characters when people read them. */
export const label = (name: string) => name.replace(/\p{Cc}/gu, '').slice(-200) || 'file'

/** What archivers leave beside the files, and folders. */
const isNoise = (name: string) => /\/$|(^|\/)__MACOSX\/|(^|\/)(\.[^/]*|Thumbs\.db)$/.test(name)

async function entriesOf(zip: ZipFile, limits: ZipLimits): Promise<Entry[]> {
  if (zip.entryCount > limits.maxEntries)
    throw refused(`${zip.entryCount} entries; zip.maxEntries is ${limits.maxEntries}`)
  const entries: Entry[] = []
  let total = 0
  for await (const entry of zip.eachEntry()) {
    if (entry.isEncrypted()) throw refused('it is encrypted')
    if (entry.uncompressedSize > limits.maxEntryBytes)
      throw refused(`an entry has ${entry.uncompressedSize} bytes; the limit is ${limits.maxEntryBytes}`)
    total += entry.uncompressedSize
    if (total > limits.maxTotalBytes) throw refused(`more than zip.maxTotalBytes unpacked: ${limits.maxTotalBytes}`)
    entries.push(entry)
  }
  if (total > zip.fileSize * limits.maxRatio)
    throw refused(`${total} bytes out of ${zip.fileSize}; zip.maxRatio is ${limits.maxRatio}`)
  return entries
}

async function* unpack(zip: ZipFile, entry: Entry): AsyncGenerator<Buffer> {
  let chunks: ReturnType<typeof chunksOf> | undefined
  try {
    chunks = chunksOf(await zip.openReadStreamPromise(entry))
    const peeked = await peek(chunks, 4)
    if (isZip(peeked.head)) throw refused('an archive within an archive')
    yield* peeked.bytes
  } catch (thrown) {
    if (thrown instanceof RaylogError && thrown.code !== 'truncated') throw thrown
    throw refused('an entry cannot be unpacked', thrown)
  } finally {
    // The archive's file stays open as long as one of its entries does, also one that is refused by its first bytes.
    await chunks?.return()
  }
}

export interface Zip {
  /** In the archive's order; they may be read at the same time. */
  entries: ZipEntry[]
  close(): void
}

/** The caller closes it, when it has read the entries. @throws RaylogError zip-refused, for the whole of it */
export async function openZip(path: string | Buffer, limits: ZipLimits): Promise<Zip> {
  const fd = await openFd(path, readPlainly).catch(thrown => {
    throw unopened(thrown)
  })
  // Names are not decoded by yauzl: it would refuse the whole archive for one that looks like a path trick.
  // It closes by itself after the last name otherwise, before the entries are read.
  const zip = await fromFdPromise(fd, { decodeStrings: false, autoClose: false }).catch(async thrown => {
    await closeFd(fd)
    throw refused('it cannot be read', thrown)
  })
  try {
    const entries = (await entriesOf(zip, limits)).map(entry => ({
      name: entry.fileNameRaw.toString('utf8'),
      bytes: unpack(zip, entry),
    }))
    const wanted = entries.filter(({ name }) => !isNoise(name))
    return { entries: wanted.map(({ name, bytes }) => ({ name: label(name), bytes })), close: () => zip.close() }
  } catch (thrown) {
    zip.close()
    throw thrown instanceof RaylogError ? thrown : refused('its directory cannot be read', thrown)
  }
}

/** Writes bytes to a file of ours: an archive's directory is at its end. @throws RaylogError too-large */
export async function spool(bytes: AsyncIterable<Buffer>, path: string, maxBytes: number): Promise<void> {
  const file = await openFile(path, 'wx', 0o600)
  try {
    let size = 0
    for await (const chunk of bytes) {
      size += chunk.length
      if (size > maxBytes) throw new RaylogError('too-large', `the archive is larger than ${maxBytes} bytes`)
      await file.writeFile(chunk)
    }
  } finally {
    await file.close()
  }
}
