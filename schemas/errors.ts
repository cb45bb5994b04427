/** The errors that Raylog gives: each has a code of the table, which says what becomes of it. */
import { type ErrorCode, type ErrorEntry, errorTable } from './error-table.ts'

export { type ErrorCode, errorTable, isErrorCode, type Verdict } from './error-table.ts'

/** An error with a code of the table. The message says what happened, without anybody's name. */
export class RaylogError extends Error {
  readonly code: ErrorCode
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'RaylogError'
    this.code = code
  }
  get entry(): ErrorEntry {
    return errorTable[this.code]
  }
}

const full = new Set(['ENOSPC', 'EDQUOT'])
const away = new Set([
  'EIO',
  'EMFILE',
  'ENFILE',
  'EROFS',
  'ECONNREFUSED',
  'ECONNRESET',
  'ETIMEDOUT',
  'EPIPE',
  'EAI_AGAIN',
])

/** Any thrown value as a RaylogError: ours as it is, system errors by their errno, the rest as `internal`. */
export function toRaylogError(thrown: unknown): RaylogError {
  if (thrown instanceof RaylogError) return thrown
  const error = thrown instanceof Error ? thrown : new Error(String(thrown))
  const errno = 'code' in error && typeof error.code === 'string' ? error.code : ''
  if (full.has(errno) || /database or disk is full/.test(error.message))
    return new RaylogError('store-full', error.message, { cause: error })
  if (away.has(errno) || /disk I\/O error/.test(error.message))
    return new RaylogError('store-unavailable', error.message, { cause: error })
  return new RaylogError('internal', error.message, { cause: error })
}
