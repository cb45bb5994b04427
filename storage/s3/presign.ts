/**
 * Signed URLs that read an object (AWS Signature Version 4, in the query). A worker gets one for each image: the client, which
 * derives the key of the day anew for each, takes five times as long.
 */
import { createHmac, createSecretKey, hash, type KeyObject } from 'node:crypto'
import type { Client } from 'minio'
import type { Clock } from '../../monitoring/clock.ts'

export interface SignerParts {
  client: Pick<Client, 'presignedGetObject'>
  bucket: string
  /** Of the names of all objects. */
  prefix: string
  region: string
  accessKey: string
  secretKey: string
  clock: Clock
}

/** @returns a URL for the object of this key (hexadecimal digits and `/`: nothing to escape), good for so long; saved as this */
export type Signer = (key: string, seconds: number, saveAs?: string) => Promise<string>

const algorithm = 'AWS4-HMAC-SHA256'

/** All but letters, digits and `-._~`, as the signature has it. */
const escaped = (text: string) =>
  encodeURIComponent(text).replaceAll(/[!'()*]/g, one => `%${one.charCodeAt(0).toString(16).toUpperCase()}`)

const attachment = (fileName: string) => `attachment; filename="${fileName}"`

export function createSigner({ client, bucket, prefix, region, accessKey, secretKey, clock }: SignerParts): Signer {
  let base: Promise<{ origin: string; host: string; path: string }> | undefined
  let today: { day: string; key: KeyObject } | undefined

  /** How the client addresses the bucket: that is its business, so one of its own URLs says it. */
  async function learn() {
    const probe = 'x'
    const url = new URL(await client.presignedGetObject(bucket, prefix + probe, 60))
    return { origin: url.origin, host: url.host, path: url.pathname.slice(0, -probe.length) }
  }

  function keyOf(day: string): KeyObject {
    if (today?.day !== day) {
      const steps = [day, region, 's3', 'aws4_request']
      const bytes = steps.reduce(
        (key: string | Buffer, step) => createHmac('sha256', key).update(step).digest(),
        `AWS4${secretKey}`,
      )
      today = { day, key: createSecretKey(Buffer.from(bytes)) }
    }
    return today.key
  }

  return async (key, seconds, saveAs) => {
    base ??= learn().catch((error: unknown) => {
      base = undefined
      throw error
    })
    const { origin, host, path } = await base
    const time = new Date(clock.now()).toISOString().replaceAll(/[-:]|\.\d+/g, '')
    const day = time.slice(0, 8)
    const scope = `${day}/${region}/s3/aws4_request`
    const credential = escaped(`${accessKey}/${scope}`)
    const saved = saveAs === undefined ? '' : `&response-content-disposition=${escaped(attachment(saveAs))}`
    const query = `X-Amz-Algorithm=${algorithm}&X-Amz-Credential=${credential}&X-Amz-Date=${time}&X-Amz-Expires=${seconds}&X-Amz-SignedHeaders=host${saved}`
    const canonical = `GET\n${path}${key}\n${query}\nhost:${host}\n\nhost\nUNSIGNED-PAYLOAD`
    const signed = `${algorithm}\n${time}\n${scope}\n${hash('sha256', canonical)}`
    const signature = createHmac('sha256', keyOf(day)).update(signed).digest('hex')
    return `${origin}${path}${key}?${query}&X-Amz-Signature=${signature}`
  }
}
