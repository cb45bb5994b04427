/** The writer of every object store: small objects stay in memory, larger ones go to a file aside until they are whole. */
import { createHash } from 'node:crypto'
import { RaylogError } from '../schemas/errors.ts'
import type { StoredObject } from '../schemas/topics.ts'
import type { Incoming, IncomingFile } from './folder-incoming.ts'
import { keyOf, storeError } from './folder-keys.ts'
import type { ObjectWriter } from './objects.ts'

export interface WriterParts {
  incoming: Incoming
  /** A writer keeps this much in memory before it begins a file, bytes. */
  spillBytes: number
  /** Stores what stayed in memory. */
  put(bytes: Buffer, contentType: string): Promise<StoredObject>
  /** Stores a whole file, and closes it; it is discarded if this throws. */
  settle(file: IncomingFile, stored: StoredObject): Promise<void>
}

/** Does the work, and discards the file if that fails. */
export async function orDiscard(file: IncomingFile, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (thrown) {
    await file.discard()
    throw storeError(thrown)
  }
}

export function createWriter({ incoming, spillBytes, put, settle }: WriterParts): ObjectWriter {
  let held: Buffer[] = []
  let bytes = 0
  let file: IncomingFile | undefined
  let ended = false
  let last: Promise<unknown> = Promise.resolve()
  const hash = createHash('sha256')

  /** One thing at a time, in the order of the calls, so that `abort` is safe while a write is under way. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = last.then(work)
    last = turn.catch(() => undefined) // its caller hears of it
    return turn
  }

  async function append(chunk: Uint8Array): Promise<void> {
    bytes += chunk.length
    if (!file && bytes <= spillBytes) {
      held.push(Buffer.from(chunk))
      return
    }
    file ??= await incoming.create()
    const spilled = file
    await orDiscard(spilled, async () => {
      for (const part of [...held, chunk]) {
        hash.update(part)
        await spilled.handle.writeFile(part)
      }
    })
    held = []
  }

  async function finish(contentType: string): Promise<StoredObject> {
    if (!file) return put(Buffer.concat(held), contentType)
    const spilled = file
    const digest = hash.digest('hex')
    const stored = { key: keyOf(digest), sha256: digest, bytes, contentType }
    await orDiscard(spilled, () => settle(spilled, stored))
    return stored
  }

  /** Ended until the work is done, and for good if it fails: a part is missing then. */
  async function open<T>(work: () => Promise<T>): Promise<T> {
    if (ended) throw new RaylogError('internal', 'the object writer has ended: it failed, was committed or was aborted')
    ended = true
    try {
      return await work()
    } catch (thrown) {
      throw storeError(thrown)
    }
  }

  return {
    write: chunk =>
      inTurn(async () => {
        await open(() => append(chunk))
        ended = false
      }),
    commit: contentType =>
      inTurn(async () => {
        const stored = await open(() => finish(contentType))
        held = []
        return stored
      }),
    abort: () =>
      inTurn(async () => {
        if (!ended) await file?.discard()
        ended = true
        held = []
      }),
  }
}
