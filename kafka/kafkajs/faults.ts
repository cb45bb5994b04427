/** What an error of a broker or of a connection means for who asked. */
import type { Clock } from '../../monitoring/clock.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { LinkError } from './link.ts'

/** The broker's name of the error, as NOT_LEADER_FOR_PARTITION; empty for what is none. */
export const typeOf = (error: unknown): string =>
  error instanceof Error && 'type' in error && typeof error.type === 'string' ? error.type : ''

/** Asking again, of another broker or later, may help. */
export const isPassing = (error: unknown): boolean =>
  error instanceof LinkError ||
  (error instanceof Error && 'retriable' in error && error.retriable === true) ||
  passing.has(typeOf(error))

/** Not marked in kafkajs's table. */
const passing = new Set(['REBALANCE_IN_PROGRESS', 'OFFSET_NOT_AVAILABLE', 'BROKER_NOT_AVAILABLE', 'REQUEST_TIMED_OUT'])

/** Any error as one of the table: what passes is waited for, a refusal is for the operator. */
export function toLogError(cause: unknown): RaylogError {
  if (cause instanceof RaylogError) return cause
  const message = cause instanceof Error ? cause.message : String(cause)
  const type = typeOf(cause)
  if (/AUTHORIZATION|AUTHENTICATION|SASL/.test(type) || (cause instanceof Error && cause.name.includes('SASL')))
    return new RaylogError('config-invalid', `the brokers refuse this login: ${message}`, { cause })
  if (type === 'FENCED_INSTANCE_ID')
    return new RaylogError('config-invalid', 'another process has the same kafka.instanceId', { cause })
  if (type === 'UNKNOWN_TOPIC_OR_PARTITION') return new RaylogError('not-found', message, { cause })
  return new RaylogError('log-unavailable', message, { cause })
}

export const backoff = { firstMs: 50, mostMs: 1_000 }

export interface Patience {
  clock: Clock
  deadlineMs: number
  signal?: AbortSignal
  /** Before the next attempt. Its own failure is one more reason to wait. */
  between?(error: unknown): Promise<void>
}

/** Tries until it succeeds, fails for good or the time is over. @throws what the last attempt threw */
export async function patiently<Result>(
  act: () => Promise<Result>,
  { clock, deadlineMs, signal, between }: Patience,
): Promise<Result> {
  const deadline = clock.now() + deadlineMs
  for (let wait = backoff.firstMs; ; wait = Math.min(wait * 2, backoff.mostMs)) {
    try {
      return await act()
    } catch (error) {
      if (!isPassing(error) || signal?.aborted || clock.now() + wait > deadline) throw error
      await clock.sleep(wait, signal)
      try {
        await between?.(error)
      } catch (again) {
        if (!isPassing(again)) throw again
      }
    }
  }
}
