/** What the contracts of ObjectStore share. */
import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import type { ErrorCode } from '../../schemas/errors.ts'
import type { ObjectStore } from '../../storage/objects.ts'

export interface ObjectsHarness {
  store: ObjectStore
  /** Another client of the same objects, as a second process or a restart would have. The suite closes it. */
  again(): Promise<ObjectStore>
  /** How many unfinished writes there are: files, multipart uploads. */
  unfinished(): Promise<number>
  /** Source of a module that declares `store`, a client of the same objects, for a process that is killed. */
  childSource: string
  /** Closes the store and removes what was stored. */
  release(): Promise<void>
}

export const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

export async function codeOf(work: Promise<unknown>): Promise<ErrorCode | string> {
  const error = await work.then(
    () => 'nothing was thrown',
    thrown => thrown,
  )
  return error?.code ?? String(error)
}

export async function collect(stream: Readable): Promise<Buffer> {
  return Buffer.concat(await stream.toArray())
}

export async function listed(store: ObjectStore) {
  const all = []
  for await (const found of store.list()) all.push(found)
  return all
}

export async function keys(store: ObjectStore): Promise<string[]> {
  return (await listed(store)).map(found => found.key).sort()
}
