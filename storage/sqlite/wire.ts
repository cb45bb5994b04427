/** What crosses between a SQLite thread and the code that called it. */
import type { ErrorCode } from '../../schemas/errors.ts'

/** The operations that a database offers: what goes in and what comes out. All of it can be structured-cloned. */
export type Operations = Record<string, { input: unknown; output: unknown }>

export interface Request {
  id: number
  op: string
  input: unknown
  /** About how large the input is, so that one transaction stays bounded. */
  bytes: number
}

export type Reply =
  | { id: number; ok: true; output: unknown }
  | { id: number; ok: false; code: ErrorCode; message: string }

export type FromThread =
  /** First message: the database is open (with what it tells its opener), or could not be opened. */
  | { type: 'ready'; hello: unknown }
  | { type: 'refused'; code: ErrorCode; message: string }
  /** `commits` is the number of transactions that this thread has committed so far. */
  | { type: 'replies'; replies: Reply[]; commits: number }

export type ToThread = { type: 'requests'; requests: Request[] } | { type: 'close' }
