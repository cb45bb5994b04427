/** The ObjectStore in a bucket of any S3. See storage/objects.ts for the contract and docs/adr/0006 for what was chosen. */
import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import type { Client } from 'minio'
import { type Clock, systemClock } from '../monitoring/clock.ts'
import { RaylogError } from '../schemas/errors.ts'
import type { StoredObject } from '../schemas/topics.ts'
import { type Incoming, type IncomingFile, openIncoming } from './folder-incoming.ts'
import { clip, keyOf, keyPattern, missing, sha256, storeError } from './folder-keys.ts'
import { createWriter } from './object-writer.ts'
import type { ObjectRange, ObjectStore } from './objects.ts'
import { type Caller, createCaller, type Request } from './s3/caller.ts'
import { type Connection, connect, encryptionOf } from './s3/client.ts'
import { codeOf, fromS3, isRefusal } from './s3/errors.ts'
import { createSigner, type Signer } from './s3/presign.ts'
import { bufferSource, openFileSource, type Source, sweepUploads, type UploadSettings, upload } from './s3/upload.ts'

export interface S3Options extends Connection {
  bucket: string
  /** Before every key, so that a bucket can be shared: `raylog/`. */
  prefix?: string
  /** Where larger objects wait until they are whole; made if it is missing. */
  tempFolder: string
  makeBucket?: boolean
  /** From this size on an object is sent in parts: then a broken connection costs a part. S3 takes 5 GB at once; bytes. */
  partsFromBytes?: number
  /** A call ends with store-unavailable after this, ms; a transfer after it is silent for so long. */
  deadlineMs?: number
  clock?: Clock
  random?: () => number
}

export interface S3Objects extends ObjectStore {
  /** For 1 second to 7 days. */
  presign(key: string, seconds: number, saveAs?: string): Promise<string>
}

/** A writer keeps this much in memory before it begins a file, bytes. */
const spillBytes = 5 * 1024 * 1024
/** From this size on it is asked first whether the object is there: below, to send it costs less than the question. */
const askFromBytes = 1024 * 1024
/** An object that is older is written again, so that a sweep of orphans sees that it was put a moment ago, ms. */
const freshMs = 60 * 60 * 1000

/**
 * - `get` checks the digest (object-damaged); `range` and `stream` do not: they serve those who read a part.
 * - A bucket that keeps versions also keeps what `delete` deletes: give it a rule that ends noncurrent versions.
 *
 * The caller closes it.
 * @throws RaylogError config-invalid for what the server refuses for good, store-unavailable, store-full (the temp folder)
 */
export async function openS3Objects(options: S3Options): Promise<S3Objects> {
  const { bucket, region, clock = systemClock, random = Math.random, deadlineMs = 15_000, tempFolder } = options
  const prefix = options.prefix && !options.prefix.endsWith('/') ? `${options.prefix}/` : (options.prefix ?? '')
  const incoming = await openIncoming(tempFolder).catch(thrown => {
    throw storeError(thrown)
  })
  const { client, agent } = connect(options, deadlineMs)
  const caller = createCaller({ client, bucket, region, clock, random, deadlineMs })
  try {
    await caller.attempt(() => findBucket(client, options))
    await sweepUploads(caller, prefix, clock.now())
  } catch (thrown) {
    agent.destroy()
    throw thrown
  }
  const close = async () => {
    caller.close()
    agent.destroy()
  }
  const { partsFromBytes = 256 * 1024 * 1024 } = options
  const settings = { encryption: encryptionOf(options.sse), partsFromBytes }
  const sign = createSigner({ ...options, client, prefix, clock })
  return s3Objects({ caller, incoming, prefix, settings, sign, clock, close })
}

async function findBucket(client: Client, { bucket, region, makeBucket = false }: S3Options): Promise<void> {
  try {
    if (await client.bucketExists(bucket)) return
    if (!makeBucket) throw new RaylogError('config-invalid', `there is no bucket ${bucket}`)
    await client.makeBucket(bucket, region)
  } catch (thrown) {
    const code = codeOf(thrown)
    if (code === 'BucketAlreadyOwnedByYou') return // another process made it at the same moment
    if (isRefusal(thrown))
      throw new RaylogError('config-invalid', `S3 refuses the bucket ${bucket} (${code || 'not a name of a bucket'})`)
    throw thrown
  }
}

interface Parts {
  caller: Caller
  incoming: Incoming
  prefix: string
  settings: UploadSettings
  sign: Signer
  clock: Clock
  close(): Promise<void>
}

function s3Objects({ caller, incoming, prefix, settings, sign, clock, close }: Parts): S3Objects {
  const nameOf = (key: string): string => {
    if (!keyPattern.test(key)) throw missing(key)
    return prefix + key
  }
  const reading = (key: string): Request => ({ method: 'GET', objectName: nameOf(key), statuses: [200] })

  async function statObject(key: string) {
    if (!keyPattern.test(key)) return undefined
    try {
      const { headers } = await caller.send({ method: 'HEAD', objectName: nameOf(key), statuses: [200] }, 0, key)
      return { bytes: Number(headers['content-length']), modifiedAt: Date.parse(headers['last-modified'] ?? '') }
    } catch (thrown) {
      if (thrown instanceof RaylogError && thrown.code === 'object-missing') return undefined
      throw thrown
    }
  }

  async function store(stored: StoredObject, source: Source): Promise<void> {
    if (stored.bytes >= askFromBytes) {
      const found = await statObject(stored.key)
      if (found?.bytes === stored.bytes && clock.now() - found.modifiedAt < freshMs) return
    }
    await upload(caller, nameOf(stored.key), stored, source, settings)
  }

  async function put(bytes: Uint8Array, contentType: string): Promise<StoredObject> {
    const digest = await sha256(bytes)
    const stored = { key: keyOf(digest), sha256: digest, bytes: bytes.length, contentType }
    await store(stored, bufferSource(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)))
    return stored
  }

  async function settle({ handle, path, discard }: IncomingFile, stored: StoredObject): Promise<void> {
    await handle.close()
    await using source = await openFileSource(path, stored.bytes)
    await store(stored, source)
    await discard()
  }

  async function get(key: string): Promise<Buffer> {
    const body = await caller.read(reading(key), key)
    if (keyOf(await sha256(body)) !== key)
      throw new RaylogError('object-damaged', `object ${key} does not have its digest`)
    return body
  }

  async function range(key: string, wanted: ObjectRange): Promise<Buffer> {
    const opened = await open(key, wanted)
    return opened ? Buffer.concat(await Readable.from(chunksOf(opened)).toArray()) : Buffer.alloc(0)
  }

  /** The answer; undefined for a range that begins after the end. */
  async function open(key: string, wanted?: ObjectRange): Promise<IncomingMessage | undefined> {
    if (!wanted) return caller.open(reading(key), key)
    const objectName = nameOf(key)
    const { start } = clip(wanted, Number.MAX_SAFE_INTEGER)
    const headers = { Range: `bytes=${start}-${Number.isSafeInteger(wanted.end) ? wanted.end : ''}` }
    const response = await caller.open({ method: 'GET', objectName, headers, statuses: [206, 416] }, key)
    if (response.statusCode === 206) return response
    response.resume()
    return undefined
  }

  async function remove(key: string): Promise<boolean> {
    // S3 answers alike whether it was there or not.
    if (!(await statObject(key))) return false
    await caller.send({ method: 'DELETE', objectName: nameOf(key), statuses: [200, 204] })
    return true
  }

  /** By the last key and not by a token: whoever lists may take hours, or delete what it is given. */
  async function* list() {
    const { client, bucket, attempt } = caller
    for (let last = prefix, more = true; more; ) {
      const options = { Delimiter: '', MaxKeys: 1000 }
      const page = await attempt(() => client.listObjectsQuery(bucket, prefix, last, options))
      more = page.isTruncated === true
      for (const { name, size, lastModified } of page.objects) {
        if (name === undefined || size === undefined) continue
        last = name
        const key = name.slice(prefix.length)
        if (keyPattern.test(key)) yield { key, bytes: size, modifiedAt: new Date(lastModified ?? 0).getTime() }
      }
    }
  }

  async function check(): Promise<void> {
    const objectName = `${prefix}check`
    const headers = { 'Content-Length': 0, ...settings.encryption }
    await caller.send({ method: 'PUT', objectName, headers, statuses: [200] })
    await caller.send({ method: 'DELETE', objectName, statuses: [200, 204] })
  }

  return {
    writer: async () => createWriter({ incoming, spillBytes, put, settle }),
    put,
    get,
    range,
    async stream(key, wanted) {
      const opened = await open(key, wanted)
      return opened ? Readable.from(chunksOf(opened), { objectMode: false }) : Readable.from([])
    },
    stat: statObject,
    delete: remove,
    list,
    /** Workers read it through the store: it is on no disk of this machine. */
    local: () => undefined,
    check,
    async presign(key, seconds, saveAs) {
      if (!(Number.isInteger(seconds) && seconds >= 1 && seconds <= 604_800))
        throw new RaylogError('bad-request', 'a signed URL is good for 1 second to 7 days')
      if (!keyPattern.test(key)) throw missing(key)
      return await sign(key, seconds, saveAs)
    },
    close,
  }
}

/** @throws RaylogError, to the reader, where the answer breaks off */
async function* chunksOf(response: IncomingMessage): AsyncGenerator<Buffer> {
  try {
    yield* response
  } catch (thrown) {
    throw fromS3(thrown)
  }
}
