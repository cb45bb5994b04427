/** A bucket: a report is an object of the same path as a file of the kind `folder`. */
import { z } from 'zod'
import { RaylogError } from '../../../schemas/errors.ts'
import type { S3Outbox } from '../../../storage/s3-outbox.ts'
import { secretOf } from '../credentials.ts'
import { fileKindOf, pathOf } from '../names.ts'
import { type Sender, Undelivered } from '../sender.ts'

const secret = z.string().min(1).nullable().default(null)

export const s3Settings = {
  kind: z.literal('s3'),
  endpoint: z.url({ protocol: /^https?$/ }).describe('https://host or https://host:port'),
  bucket: z.string().min(3).max(63),
  region: z.string().min(1).default('us-east-1'),
  accessKey: secret.describe('or accessKeyFile'),
  accessKeyFile: secret.describe('file that holds it'),
  secretKey: secret.describe('or secretKeyFile'),
  secretKeyFile: secret.describe('file that holds it'),
  prefix: z.string().max(512).default('').describe('before every key'),
  pathStyle: z.boolean().default(true).describe('https://host/bucket/key; false: https://bucket.host/key'),
  encryption: z.enum(['none', 's3', 'kms']).default('none').describe('of the server, asked for with each report'),
  kmsKey: z.string().nullable().default(null).describe('id of the key, for encryption: kms'),
  timeoutMs: z.int().min(100).max(3_600_000).default(30_000).describe('for one report, ms'),
}
const settings = z.strictObject(s3Settings)

export function s3Sender(name: string, config: z.infer<typeof settings>): Sender {
  const { endpoint, bucket, region, pathStyle, prefix, encryption, kmsKey, timeoutMs } = config
  let outbox: Promise<S3Outbox> | undefined

  /** Made at the first report: most installations never load the driver. */
  async function open(): Promise<S3Outbox> {
    const accessKey = secretOf(config.accessKey, config.accessKeyFile)
    const secretKey = secretOf(config.secretKey, config.secretKeyFile)
    if (accessKey === null || secretKey === null)
      throw new RaylogError('config-invalid', `deliver: ${name} needs accessKey and secretKey, or their files`)
    const { openS3Outbox } = await import('../../../storage/s3-outbox.ts')
    const sse = encryption === 'none' ? null : encryption === 'kms' && kmsKey !== null ? { kmsKey } : 's3'
    return openS3Outbox({ endpoint, bucket, region, accessKey, secretKey, sse, pathStyle, deadlineMs: timeoutMs })
  }

  return {
    takes: () => true,
    newestOnly: false,
    async send({ delivery, bytes }) {
      const kind = fileKindOf(delivery.format, bytes)
      const key = `${prefix}${pathOf(delivery, kind)}`
      try {
        outbox ??= open()
        await (await outbox).put(key, bytes, kind.contentType)
      } catch (cause) {
        // A wrong login, no such bucket, a server that is away or full: all reports alike, so it waits until it is mended.
        const message = cause instanceof RaylogError ? cause.message : 'the bucket cannot be written'
        outbox = undefined
        throw new Undelivered(`${name}: ${message}`, {
          ...{ code: 'peer-unavailable', answered: false, mayHaveArrived: true, cause },
        })
      }
      return { text: key }
    },
    async close() {
      await (await outbox?.catch(() => undefined))?.close()
    },
  }
}
