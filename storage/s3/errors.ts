/** What the errors of S3 mean, and which may pass if the call is made again at once. */
import { InvalidBucketNameError, S3Error } from 'minio'
import { RaylogError } from '../../schemas/errors.ts'
import { errno, missing } from '../folder-keys.ts'
import { fromSystem } from '../outage.ts'
import { SilentError } from './transport.ts'

/** https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, and those of MinIO, Ceph and versitygw */
const gone = new Set(['NoSuchKey', 'NotFound', 'NoSuchVersion'])
const full = new Set([
  'XMinioStorageFull',
  'XMinioAdminBucketQuotaExceeded',
  'QuotaExceeded',
  'InsufficientCapacity',
  'InsufficientStorage',
])
const tooLarge = new Set(['EntityTooLarge', 'MaxMessageLengthExceeded'])
/** The server is busy or failed, or the bytes were damaged on their way. */
const passing = new Set([
  'SlowDown',
  'InternalError',
  'ServiceUnavailable',
  'Busy',
  'RequestTimeout',
  'OperationAborted',
  'BadDigest',
  'IncompleteBody',
  'XAmzContentSHA256Mismatch',
  'XAmzContentChecksumMismatch',
])
const network = new Set([
  'ECONNRESET',
  'ECONNREFUSED',
  'EPIPE',
  'ECONNABORTED',
  'EAI_AGAIN',
  'ERR_STREAM_PREMATURE_CLOSE',
])

/** The client gives this text, and nothing else, for a status that it would itself have tried again. */
const bareStatus = /Retryable HTTP status: (\d{3})/

export const codeOf = (thrown: unknown): string => (thrown instanceof S3Error && thrown.code) || ''

export function mayPass(thrown: unknown): boolean {
  if (thrown instanceof SilentError) return false // it has used up the time
  if (thrown instanceof S3Error) return passing.has(codeOf(thrown))
  if (network.has(String(errno(thrown)))) return true
  return thrown instanceof Error && bareStatus.test(thrown.message)
}

/** At the start: what no waiting mends. A wrong region, key or name is answered with one of many codes. */
export const isRefusal = (thrown: unknown): boolean =>
  thrown instanceof InvalidBucketNameError ||
  (thrown instanceof S3Error && !passing.has(codeOf(thrown)) && !full.has(codeOf(thrown)))

/** @param key of the object that was asked for, if the call was about one */
export function fromS3(thrown: unknown, key?: string): RaylogError {
  if (thrown instanceof RaylogError) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  const status = bareStatus.exec(message)?.[1]
  if (status) return new RaylogError('store-unavailable', `the object store answered with HTTP status ${status}`)
  if (thrown instanceof S3Error) {
    const code = codeOf(thrown)
    if (gone.has(code) && key !== undefined) return missing(key)
    if (full.has(code)) return new RaylogError('store-full', `the object store is full (${code})`)
    if (tooLarge.has(code)) return new RaylogError('too-large', `the object store takes no object so large (${code})`)
    return new RaylogError('store-unavailable', `the object store refused (${code || message})`)
  }
  return fromSystem(thrown)
}
