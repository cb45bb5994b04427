/** The errors that Raylog gives: each has a code of the table, which says what becomes of it. */
import { type ErrorCode, type ErrorEntry, errorTable, type Verdict } from './error-table.ts'

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

/** What leaves the most to be hoped for first: nothing is given up for one failure while another would pass. */
const heeded: readonly Verdict[] = ['stop', 'wait', 'retry', 'park']

/** Of several failures of one event the one that decides what becomes of it, the first among equals. */
export function gravest(thrown: readonly unknown[]): unknown {
  const rank = (one: unknown) => heeded.indexOf(toRaylogError(one).entry.verdict)
  return thrown.toSorted((a, b) => rank(a) - rank(b))[0]
}

/**
 * All to their end before a failure is told, so that none is left running behind its caller's back.
 * @throws the gravest of several failures
 */
export async function allToTheirEnd(work: readonly Promise<unknown>[]): Promise<void> {
  const outcomes = await Promise.allSettled(work)
  const reasons = outcomes.flatMap(one => (one.status === 'rejected' ? [one.reason] : []))
  if (reasons.length > 0) throw gravest(reasons)
}
