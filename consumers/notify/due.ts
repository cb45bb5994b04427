/** Looks for notifications whose time has come: held ones, acknowledgements that did not come, what a crash left behind. */
import type { Logger } from 'pino'
import type { Clock } from '../../monitoring/clock.ts'
import { toRaylogError } from '../../schemas/errors.ts'
import type { NoticeDoc } from '../../schemas/notice.ts'
import type { DocumentStore } from '../../storage/documents.ts'
import type { Notices } from './notices.ts'

export interface DueOptions {
  documents: DocumentStore
  notices: Notices
  clock: Clock
  logger: Logger
  random: () => number
  lookMs: number
}

const pageSize = 200
const atOnce = 16

/** Looks until the signal. Resolves when the last look is over. */
export async function lookForDue(options: DueOptions, signal: AbortSignal): Promise<void> {
  const { clock, logger, lookMs } = options
  let away = false
  while (!signal.aborted) {
    let more = false
    try {
      more = await look(options, signal)
      away = false
    } catch (thrown) {
      if (!away && !signal.aborted) logger.warn({ code: toRaylogError(thrown).code }, 'cannot look for notifications')
      away = true
    }
    if (!more) await clock.sleep(lookMs, signal).catch(() => undefined)
  }
}

/** @returns whether there may be more to do at once */
async function look({ documents, notices, clock, logger, random }: DueOptions, signal: AbortSignal): Promise<boolean> {
  const { items, next } = await documents.find('notices', {
    where: { phase: { in: ['held', 'sending', 'awaiting', 'settling'] }, dueAt: { lt: clock.now() + 1 } },
    order: 'oldest',
    limit: pageSize,
  })
  // Replicas look at the same page: each begins elsewhere, and finds done what another did.
  const waiting = items.map(notice => ({ notice, at: random() })).toSorted((a, b) => a.at - b.at)
  let failed = 0
  async function work(): Promise<void> {
    for (let one = waiting.pop(); one && !signal.aborted; one = waiting.pop()) {
      await notices.considerDue(one.notice, signal).catch((thrown: unknown) => {
        failed++
        if (!signal.aborted) said(logger, thrown, one?.notice)
      })
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  return next !== null && failed < items.length
}

function said(logger: Logger, thrown: unknown, notice: NoticeDoc | undefined): void {
  const { code, message } = toRaylogError(thrown)
  logger.warn({ code, reason: message, notification: notice?.id }, 'not told yet; it is looked at again')
}
