import { promisify } from 'node:util'
import { constants, createInflateRaw, inflateRaw } from 'node:zlib'
import { RaylogError } from '../../../schemas/errors.ts'

const inflateAll = promisify(inflateRaw)

/**
 * One at a time in the whole process: what comes in is small, what it becomes is not, and whoever sends many of them at
 * once must not have the memory of them all.
 */
let last: Promise<void> = Promise.resolve()

function inTurn<T>(work: () => Promise<T>): Promise<T> {
  const mine = last.then(work)
  // Not what it gave: that would keep it alive until the next.
  last = mine.then(
    () => undefined,
    () => undefined,
  )
  return mine
}

/**
 * Inflates a deflated data set (PS3.5 A.5: RFC 1951, no zlib header) to no more than `max` bytes.
 * @param complete otherwise `bytes` is a beginning, and so is what comes back
 * @throws RaylogError too-large, truncated, malformed-dicom
 */
export async function inflateAtMost(bytes: Uint8Array, max: number, complete: boolean): Promise<Uint8Array> {
  if (!complete) return inTurn(() => inflateBeginning(bytes, max))
  try {
    return plain(await inTurn(() => inflateAll(bytes, { maxOutputLength: max })))
  } catch (thrown) {
    const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined
    if (code === 'ERR_BUFFER_TOO_LARGE')
      throw new RaylogError('too-large', `the deflated data set grows past ${max} bytes`, { cause: thrown })
    if (code === 'Z_BUF_ERROR')
      throw new RaylogError('truncated', 'the deflated data set ends early', { cause: thrown })
    throw new RaylogError('malformed-dicom', 'the data set is not deflated as its transfer syntax says', {
      cause: thrown,
    })
  }
}

async function inflateBeginning(bytes: Uint8Array, max: number): Promise<Uint8Array> {
  const inflate = createInflateRaw({ finishFlush: constants.Z_SYNC_FLUSH })
  const parts: Buffer[] = []
  let length = 0
  inflate.end(bytes)
  try {
    for await (const part of inflate) {
      parts.push(part)
      length += part.length
      if (length >= max) break
    }
  } catch (thrown) {
    throw new RaylogError('malformed-dicom', 'the data set is not deflated as its transfer syntax says', {
      cause: thrown,
    })
  } finally {
    inflate.destroy()
  }
  return plain(Buffer.concat(parts))
}

/** Not a Buffer, whose slice() is a view. */
const plain = (buffer: Buffer) => new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length)
