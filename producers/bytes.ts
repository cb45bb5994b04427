/** Streams of bytes, as the ways in hand them to the intake. */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { RaylogError, toRaylogError } from '../schemas/errors.ts'

/**
 * The stream's chunks; a stream that breaks off is the sender's fault, not ours.
 * @param rest what becomes of the stream where its reader stops early: a part of a form must be read past
 * @throws RaylogError truncated
 */
export async function* chunksOf(
  stream: Readable,
  rest: 'destroy' | 'drain' = 'destroy',
): AsyncGenerator<Buffer, void, undefined> {
  const chunks: AsyncIterable<unknown> = stream.iterator({ destroyOnReturn: rest === 'destroy' })
  try {
    for await (const chunk of chunks) if (Buffer.isBuffer(chunk)) yield chunk
  } catch (thrown) {
    if (thrown instanceof RaylogError) throw thrown
    throw new RaylogError('truncated', 'the data broke off', { cause: thrown })
  } finally {
    if (rest === 'drain') stream.resume()
  }
}

/** All of it in memory of its own. @throws RaylogError too-large, saying `why` */
export async function gathered(bytes: AsyncIterable<Uint8Array>, most: number, why: string): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of bytes) {
    size += chunk.length
    if (size > most) throw new RaylogError('too-large', `${why}: ${most} bytes`)
    chunks.push(Uint8Array.from(chunk))
  }
  return Buffer.concat(chunks)
}

/**
 * How a file of someone else's is opened: a link leads elsewhere, and the opening of a pipe waits for a writer, for ever.
 * Both may have taken a file's place since it was looked at.
 */
export const readPlainly = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** What was thrown may hold the path, and that somebody's name: an error that may be told says less. */
export function unopened(thrown: unknown): RaylogError {
  const { code } = toRaylogError(thrown)
  return new RaylogError(code === 'internal' ? 'truncated' : code, 'the file cannot be opened')
}

/** A regular file's bytes. @throws RaylogError not-an-image for anything else; truncated, store-unavailable */
export async function* chunksOfFile(path: string | Buffer): AsyncGenerator<Buffer, void, undefined> {
  const file = await open(path, readPlainly).catch(thrown => {
    throw unopened(thrown)
  })
  if (!(await file.stat()).isFile()) {
    await file.close()
    throw new RaylogError('not-an-image', 'not a regular file')
  }
  // Closes the file when it ends or is left.
  yield* chunksOf(file.createReadStream({ highWaterMark: 262_144 }))
}

export interface Peeked {
  /** The first bytes: as many as asked for, or all there are. */
  head: Buffer
  /** Everything, from the first byte on. */
  bytes: AsyncIterable<Buffer>
}

/** Looks at the first bytes without losing them. */
export async function peek(chunks: AsyncGenerator<Buffer, void, undefined>, size: number): Promise<Peeked> {
  const held: Buffer[] = []
  let have = 0
  while (have < size) {
    const next = await chunks.next()
    if (next.done) break
    held.push(next.value)
    have += next.value.length
  }
  async function* all() {
    try {
      yield* held
      yield* chunks
    } finally {
      await chunks.return()
    }
  }
  return { head: Buffer.concat(held).subarray(0, size), bytes: all() }
}

/** Runs `work` on so many items at once; results come as they are done. */
export async function* inParallel<T, R>(
  items: Iterable<T> | AsyncIterable<T>,
  limit: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R, void, undefined> {
  const running = new Map<number, Promise<{ id: number; result: R }>>()
  const next = async () => {
    const { id, result } = await Promise.race(running.values())
    running.delete(id)
    return result
  }
  let id = 0
  try {
    for await (const item of items) {
      const mine = id++
      running.set(
        mine,
        work(item).then(result => ({ id: mine, result })),
      )
      if (running.size >= limit) yield await next()
    }
    while (running.size > 0) yield await next()
  } finally {
    await Promise.allSettled(running.values())
  }
}
