/** Objects under names of the caller's choice in a bucket of somebody else's. See s3-objects.ts for our own. */
import { type Clock, systemClock } from '../monitoring/clock.ts'
import { sha256 } from './folder-keys.ts'
import { createCaller } from './s3/caller.ts'
import { type Connection, connect, encryptionOf } from './s3/client.ts'

export interface S3OutboxOptions extends Connection {
  bucket: string
  /** A call ends with store-unavailable after this, ms. */
  deadlineMs: number
  clock?: Clock
  random?: () => number
}

export interface S3Outbox {
  /** Replaces what was there under the key. @throws RaylogError store-unavailable, store-full, too-large */
  put(key: string, bytes: Buffer, contentType: string): Promise<void>
  close(): Promise<void>
}

/** The caller closes it. @throws RaylogError config-invalid for an endpoint that is not one */
export function openS3Outbox(options: S3OutboxOptions): S3Outbox {
  const { bucket, region, deadlineMs, clock = systemClock, random = Math.random } = options
  const { client, agent } = connect(options, deadlineMs)
  const caller = createCaller({ client, bucket, region, clock, random, deadlineMs })
  const encryption = encryptionOf(options.sse)
  return {
    async put(key, bytes, contentType) {
      const headers = { 'Content-Length': bytes.length, 'Content-Type': contentType, ...encryption }
      const digest = await sha256(bytes)
      await caller.send(
        { method: 'PUT', objectName: key, headers, body: () => bytes, digest, statuses: [200] },
        bytes.length,
      )
    },
    async close() {
      caller.close()
      agent.destroy()
    },
  }
}
