/** The object store's contract on S3, and what happens when the server is away. */
import { randomUUID } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'minio'
import { afterAll } from 'vitest'
import { openS3Objects, type S3Options } from '../../storage/s3-objects.ts'
import { objectsContract } from '../contract/objects.ts'
import { startS3 } from './servers/s3.ts'

const s3 = await startS3()
afterAll(() => s3[Symbol.asyncDispose]())

const newBucket = () => `raylog-${randomUUID().slice(0, 8)}`

const admin = new Client({
  endPoint: '127.0.0.1',
  port: s3.port,
  useSSL: false,
  accessKey: s3.accessKey,
  secretKey: s3.secretKey,
  region: 'us-east-1',
})

objectsContract('S3', async () => {
  const tempFolder = await mkdtemp(join(tmpdir(), 'raylog-s3-'))
  const options: S3Options = {
    endpoint: s3.url,
    bucket: newBucket(),
    region: 'us-east-1',
    accessKey: s3.accessKey,
    secretKey: s3.secretKey,
    sse: null,
    prefix: 'images/',
    tempFolder,
    makeBucket: true,
  }
  const store = await openS3Objects(options)
  const module = JSON.stringify(new URL('../../storage/s3-objects.ts', import.meta.url).href)
  return {
    store,
    again: () => openS3Objects(options),
    async unfinished() {
      const files = await readdir(tempFolder)
      const uploads = await admin.listIncompleteUploads(options.bucket, '', true).toArray()
      return files.length + uploads.length
    },
    childSource: `import { openS3Objects } from ${module}
const store = await openS3Objects(${JSON.stringify(options)})`,
    async release() {
      await store.close()
      await rm(tempFolder, { recursive: true })
    },
  }
})
