/**
 * Puts audit entries on the log behind what they tell of: nobody waits for them, and none is lost while the process lives.
 * What happens again and again would fill the log: of the same within `window` the first is told, and how many more when it is over.
 */
import type { Logger } from 'pino'
import type { Clock } from '../monitoring/clock.ts'
import { type Audited, auditEntry } from '../schemas/audit.ts'
import { toRaylogError } from '../schemas/errors.ts'
import { type AuditEntry, topics } from '../schemas/topics.ts'
import type { Publish } from './stage.ts'

export interface AuditTrail {
  tell(what: Audited): void
  /** As `tell`, for what may happen very often: because anybody on the network can make it, or a study has many of it. */
  tellOften(what: Audited): void
  /** For the end: resolves when all that was told is on the log, or the signal is aborted. What is told later is told at once, each by itself. */
  flush(signal?: AbortSignal): Promise<void>
}

export interface AuditTrailOptions {
  publish: Publish<typeof topics.audit>
  clock: Clock
  logger: Logger
  /** Makes the ids of the entries. */
  randomId: () => string
  windowMs?: number
}

/** Entries that wait while the log is away; with it away nothing is received, so more come from strangers alone. */
const maxWaiting = 10_000
const mostAtOnce = 500
const maxWindows = 1_000
const firstBackoffMs = 200
const longestBackoffMs = 10_000

export function createAuditTrail(options: AuditTrailOptions): AuditTrail {
  const { publish, clock, logger, randomId, windowMs = 10_000 } = options
  const waiting: AuditEntry[] = []
  const windows = new Map<string, { since: number; more: number; last: Audited }>()
  let writing: Promise<void> | undefined
  let dropped = 0
  const flushed = new AbortController()

  function put(what: Audited): void {
    if (waiting.length >= maxWaiting) {
      dropped++
      return
    }
    waiting.push(auditEntry(what, clock.now(), randomId()))
    writing ??= write()
  }

  /** Nothing is awaited between the last look at what waits and its end: who puts an entry later begins anew. */
  async function write(): Promise<void> {
    await Promise.resolve()
    try {
      for (let failures = 0; waiting.length > 0; ) failures = await writeSome(failures)
    } catch (thrown) {
      if (toRaylogError(thrown).code !== 'stopping') throw thrown
    } finally {
      writing = undefined
    }
  }

  /** @returns failures in a row. @throws RaylogError stopping */
  async function writeSome(failures: number): Promise<number> {
    const some = waiting.slice(0, mostAtOnce)
    try {
      await publish(topics.audit, ...some)
    } catch (thrown) {
      const { code } = toRaylogError(thrown)
      if (code === 'stopping') throw thrown
      if (failures === 0) logger.warn({ code }, 'audit entries wait for the log')
      await clock.sleep(Math.min(longestBackoffMs, firstBackoffMs * 2 ** Math.min(failures + 1, 10)))
      return failures + 1
    }
    waiting.splice(0, some.length)
    if (dropped > 0) logger.error({ entries: dropped }, 'audit entries were dropped while the log was away')
    dropped = 0
    return 0
  }

  /** Says how many more there were in the windows that are over. */
  function closeWindows(all: boolean): void {
    const now = clock.now()
    for (const [key, { since, more, last }] of windows) {
      if (!all && now - since < windowMs && windows.size <= maxWindows) continue
      windows.delete(key)
      if (more > 0) put({ ...last, detail: { ...last.detail, count: String(more) } })
    }
  }

  /** Nobody may come again to close the window. */
  async function closeLater(since: number): Promise<void> {
    const { signal } = flushed
    // A timer does not run by `clock.now()`: it may be early, or the clock be set back meanwhile.
    for (let left = since + windowMs - clock.now(); left > 0 && !signal.aborted; left = since + windowMs - clock.now())
      await clock.sleep(Math.min(left, windowMs), signal).catch(() => undefined) // flushed before
    if (!signal.aborted) closeWindows(false)
  }

  return {
    tell: put,
    tellOften(what) {
      // At the end a timer would hold the process.
      if (flushed.signal.aborted) return put(what)
      closeWindows(false)
      const { action, actor, object, outcome, address, detail = {} } = what
      const { reason, destination, report } = detail
      const key = JSON.stringify([action, actor, object, outcome, address, reason, destination, report])
      const window = windows.get(key)
      if (window) {
        if (window.more++ === 0) void closeLater(window.since)
        window.last = what
        return
      }
      windows.set(key, { since: clock.now(), more: 0, last: what })
      put(what)
    },
    async flush(signal) {
      flushed.abort()
      closeWindows(true)
      while (writing && !signal?.aborted) {
        const over = new Promise<void>(resolve => signal?.addEventListener('abort', () => resolve(), { once: true }))
        await Promise.race([writing, over])
      }
    },
  }
}
