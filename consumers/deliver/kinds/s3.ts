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
type S3Settings = z.infer<typeof settings>

/** As for the bucket of objects: without a key it would be kept under the server's own, and nobody would know. */
export const kmsHasKey: [(s3: Pick<S3Settings, 'encryption' | 'kmsKey'>) => boolean, { error: string }] = [
  ({ encryption, kmsKey }) => encryption !== 'kms' || kmsKey !== null,
  { error: 'encryption: kms needs kmsKey' },
]

/** Made at the first report: most installations never load the driver. */
async function open(name: string, config: S3Settings): Promise<S3Outbox> {
  const { endpoint, bucket, region, pathStyle, encryption, kmsKey, timeoutMs } = config
  const accessKey = secretOf(config.accessKey, config.accessKeyFile)
  const secretKey = secretOf(config.secretKey, config.secretKeyFile)
  if (accessKey === null || secretKey === null)
    throw new RaylogError('config-invalid', `deliver: ${name} needs accessKey and secretKey, or their files`)
  const { openS3Outbox } = await import('../../../storage/s3-outbox.ts')
  const sse = encryption === 'none' ? null : encryption === 'kms' && kmsKey !== null ? { kmsKey } : 's3'
  return openS3Outbox({ endpoint, bucket, region, accessKey, secretKey, sse, pathStyle, deadlineMs: timeoutMs })
}

export function s3Sender(name: string, config: S3Settings): Sender {
  const outboxes = createOutboxes(() => open(name, config))
  return {
    takes: () => true,
    newestOnly: false,
    async send({ delivery, bytes }, signal) {
      const kind = fileKindOf(delivery.format, bytes)
      const key = `${config.prefix}${pathOf(delivery, kind)}`
      let begun = false
      try {
        await outboxes.use(async outbox => {
          signal.throwIfAborted()
          begun = true
          await unlessAborted(outbox.put(key, bytes, kind.contentType), signal)
        })
      } catch (cause) {
        signal.throwIfAborted()
        // A wrong login, no such bucket, a server that is away or full: all reports alike, so it waits until it is mended.
        const message = cause instanceof RaylogError ? cause.message : 'the bucket cannot be written'
        throw new Undelivered(`${name}: ${message}`, {
          ...{ code: 'peer-unavailable', answered: false, mayHaveArrived: begun, cause },
        })
      }
      return { text: key }
    },
    close: () => outboxes.close(),
  }
}

/** One outbox for all reports, until one cannot be sent with it: the login may be another by now. */
function createOutboxes(make: () => Promise<S3Outbox>) {
  interface Shared {
    outbox: Promise<S3Outbox>
    users: number
  }
  let current: Shared | undefined
  const shut = async ({ outbox }: Shared) => await (await outbox.catch(() => undefined))?.close()
  return {
    async use(work: (outbox: S3Outbox) => Promise<void>): Promise<void> {
      current ??= { outbox: make(), users: 0 }
      const mine = current
      mine.users++
      try {
        await work(await mine.outbox)
      } catch (thrown) {
        if (current === mine) current = undefined
        throw thrown
      } finally {
        mine.users--
        // Not before: closing it ends whatever others have under way.
        if (mine.users === 0 && current !== mine) await shut(mine)
      }
    },
    async close(): Promise<void> {
      const last = current
      current = undefined
      if (last) await shut(last)
    },
  }
}

/** @throws the signal's reason */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const aborted = () => reject(signal.reason)
  signal.addEventListener('abort', aborted, { once: true })
  try {
    return await Promise.race([work, promise])
  } finally {
    signal.removeEventListener('abort', aborted)
  }
}
