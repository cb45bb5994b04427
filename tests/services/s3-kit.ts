/** A real S3 server for one file of tests, and settings for stores on it. */
import { randomUUID } from 'node:crypto'
import { Client } from 'minio'
import type { S3Options } from '../../storage/s3-objects.ts'
import { type S3, startS3 } from './servers/s3.ts'

export interface S3Kit extends AsyncDisposable {
  s3: S3
  /** A client that is not ours, to look at what is there. */
  admin: Client
  settings(bucket: string, tempFolder: string): S3Options
}

export const newBucket = (): string => `raylog-${randomUUID().slice(0, 8)}`

/** The code that the work ended with; `done` if it did not fail. */
export const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    error => error.code ?? String(error),
  )

export async function openS3Kit(): Promise<S3Kit> {
  const s3 = await startS3()
  const { accessKey, secretKey, port, url } = s3
  const region = 'us-east-1'
  return {
    s3,
    admin: new Client({ endPoint: '127.0.0.1', port, useSSL: false, accessKey, secretKey, region }),
    settings: (bucket, tempFolder) => ({
      endpoint: url,
      bucket,
      region,
      accessKey,
      secretKey,
      sse: null,
      prefix: 'images/',
      tempFolder,
      makeBucket: true,
      partsFromBytes: 64_000_000,
    }),
    [Symbol.asyncDispose]: () => s3[Symbol.asyncDispose](),
  }
}
