/**
 * Puts whole objects. What is put is visible under its key at once or not at all: one PUT, or parts that the server joins
 * when it is told that they are all there.
 */
import { open } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import type { StoredObject } from '../../schemas/topics.ts'
import { sha256 } from '../folder-keys.ts'
import type { Caller } from './caller.ts'
import { fromS3 } from './errors.ts'

/** S3 takes at most 10,000 parts, and none below 5 MiB but the last. */
const partBytes = 8 * 1024 * 1024
const mostParts = 10_000
/** Parts under way at once: this many are in memory. */
const width = 2

export interface Source {
  readonly bytes: number
  whole(): Buffer | Readable
  part(start: number, length: number): Promise<Buffer>
}

export const bufferSource = (buffer: Buffer): Source => ({
  bytes: buffer.length,
  whole: () => buffer,
  part: async (start, length) => buffer.subarray(start, start + length),
})

/** Reads a file, which must stay as it is meanwhile. The caller closes it. */
export async function openFileSource(path: string, bytes: number): Promise<Source & AsyncDisposable> {
  const handle = await open(path, 'r')
  return {
    bytes,
    whole: () => handle.createReadStream({ start: 0, autoClose: false, highWaterMark: 256 * 1024 }),
    async part(start, length) {
      const buffer = Buffer.allocUnsafe(length)
      const { bytesRead } = await handle.read(buffer, 0, length, start)
      return buffer.subarray(0, bytesRead)
    },
    [Symbol.asyncDispose]: () => handle.close(),
  }
}

export interface UploadSettings {
  /** Headers that ask the server to encrypt. */
  encryption: Record<string, string>
  /** From this size on an object is sent in parts, bytes. */
  partsFromBytes: number
}

const base64 = (digest: string): string => Buffer.from(digest, 'hex').toString('base64')

/** @throws RaylogError */
export async function upload(
  caller: Caller,
  objectName: string,
  { sha256: digest, contentType }: StoredObject,
  source: Source,
  { encryption, partsFromBytes }: UploadSettings,
): Promise<void> {
  const headers = { 'Content-Type': contentType, ...encryption }
  if (source.bytes >= partsFromBytes) return uploadParts(caller, objectName, source, headers)
  await caller.send(
    {
      method: 'PUT',
      objectName,
      // Checked by the server against what it got, and kept with the object.
      headers: { ...headers, 'Content-Length': source.bytes, 'x-amz-checksum-sha256': base64(digest) },
      body: () => source.whole(),
      digest,
      statuses: [200],
    },
    source.bytes,
  )
}

async function uploadParts(
  caller: Caller,
  objectName: string,
  source: Source,
  headers: Record<string, string>,
): Promise<void> {
  const { client, bucket, attempt } = caller
  const uploadId = await attempt(() => client.initiateNewMultipartUpload(bucket, objectName, headers))
  try {
    const etags = await sendParts(caller, objectName, uploadId, source)
    await complete(caller, objectName, uploadId, etags, source.bytes)
  } catch (thrown) {
    // What cannot be ended now is swept at a later open.
    await Promise.allSettled([attempt(() => client.abortMultipartUpload(bucket, objectName, uploadId))])
    throw fromS3(thrown)
  }
}

interface Part {
  part: number
  etag: string
}

async function sendParts(caller: Caller, objectName: string, uploadId: string, source: Source): Promise<Part[]> {
  const size = Math.max(partBytes, Math.ceil(source.bytes / mostParts))
  const count = Math.ceil(source.bytes / size)
  const etags: Part[] = []
  let next = 0
  let failed = false

  async function lane(): Promise<void> {
    while (next < count && !failed) {
      const index = next++
      const bytes = await source.part(index * size, Math.min(size, source.bytes - index * size))
      const digest = await sha256(bytes)
      const query = `partNumber=${index + 1}&uploadId=${encodeURIComponent(uploadId)}`
      const headers = { 'Content-Length': bytes.length }
      const { headers: answer } = await caller.send(
        { method: 'PUT', objectName, query, headers, body: () => bytes, digest, statuses: [200] },
        bytes.length,
      )
      etags[index] = { part: index + 1, etag: String(answer.etag).replaceAll('"', '') }
    }
  }
  const lanes = Array.from({ length: width }, () =>
    lane().catch(thrown => {
      failed = true
      throw thrown
    }),
  )
  // All of them end before the upload is aborted: a part that comes later would stay.
  for (const ended of await Promise.allSettled(lanes)) if (ended.status === 'rejected') throw ended.reason
  return etags
}

/** The answer may be lost when it was done: then the upload is gone and the object is there. */
async function complete(caller: Caller, objectName: string, uploadId: string, etags: Part[], bytes: number) {
  const { client, bucket, attempt } = caller
  try {
    await attempt(() => client.completeMultipartUpload(bucket, objectName, uploadId, etags), bytes)
  } catch (thrown) {
    const there = await Promise.allSettled([caller.send({ method: 'HEAD', objectName, statuses: [200] })])
    const size = there[0]?.status === 'fulfilled' ? Number(there[0].value.headers['content-length']) : undefined
    if (size !== bytes) throw thrown
  }
}

/** Uploads that nobody has finished for so long never will be: their writer is gone, ms. */
const abandonedMs = 24 * 60 * 60 * 1000

/** Best effort: where the policy does not allow it, a lifecycle rule of the bucket should do it. */
export async function sweepUploads({ client, bucket, attempt }: Caller, prefix: string, now: number): Promise<void> {
  const sweep = async (): Promise<void> => {
    const { uploads } = await attempt(() => client.listIncompleteUploadsQuery(bucket, prefix, '', '', ''))
    for (const { key, uploadId, initiated } of uploads)
      if (now - new Date(initiated).getTime() > abandonedMs)
        await attempt(() => client.abortMultipartUpload(bucket, key, uploadId))
  }
  await Promise.allSettled([sweep()])
}
