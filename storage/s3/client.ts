/** The client of an S3 server, and how it is reached. */
import { Client } from 'minio'
import { RaylogError } from '../../schemas/errors.ts'
import { openConnections } from './transport.ts'

export interface Connection {
  /** `https://host[:port]`; a path is not taken. */
  endpoint: string
  region: string
  accessKey: string
  secretKey: string
  /** Server-side encryption to ask for: none, with keys of S3, or with a key of KMS. */
  sse: null | 's3' | { kmsKey: string }
  /** `https://host/bucket/key`, which all but AWS take; otherwise `https://bucket.host/key`. */
  pathStyle?: boolean
  /** At most. */
  connections?: number
}

/** @throws RaylogError config-invalid for an endpoint that is not one */
export function connect(options: Connection, deadlineMs: number) {
  const { accessKey, secretKey, region, pathStyle = true, connections = 64 } = options
  const url = URL.canParse(options.endpoint) ? new URL(options.endpoint) : undefined
  if (!url || !['http:', 'https:'].includes(url.protocol) || url.pathname !== '/' || url.username !== '')
    throw new RaylogError('config-invalid', 'the endpoint of S3 is https://host or https://host:port, nothing more')
  const useSSL = url.protocol === 'https:'
  const { transport, agent } = openConnections(useSSL, deadlineMs, connections)
  try {
    const client = new Client({
      endPoint: url.hostname,
      ...(url.port === '' ? {} : { port: Number(url.port) }),
      useSSL,
      accessKey,
      secretKey,
      region,
      pathStyle,
      transport,
      transportAgent: agent,
      retryOptions: { disableRetry: true },
    })
    // Also over TLS: the digest of the bytes becomes part of the signature, and no server takes other bytes.
    client.enableSHA256 = true
    return { client, agent }
  } catch (thrown) {
    throw new RaylogError('config-invalid', thrown instanceof Error ? thrown.message : 'S3 settings', { cause: thrown })
  }
}

/** Headers that ask for it. */
export function encryptionOf(sse: Connection['sse']): Record<string, string> {
  if (sse === null) return {}
  if (sse === 's3') return { 'x-amz-server-side-encryption': 'AES256' }
  return {
    'x-amz-server-side-encryption': 'aws:kms',
    'x-amz-server-side-encryption-aws-kms-key-id': sse.kmsKey,
  }
}
