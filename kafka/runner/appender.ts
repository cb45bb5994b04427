/**
 * Appends what a stage's handlers emit. A stage that keeps up has each event on the log at once. One that is behind makes
 * its events wait a little for each other: each already waited for a place far longer than that, and one append of several
 * (one sync, or one request to a broker) costs hardly more than one of one.
 */
import type { Clock } from '../../monitoring/clock.ts'
import { toRaylogError } from '../../schemas/errors.ts'
import type { EventLog, NewRecord } from '../log.ts'

export interface AppenderOptions {
  log: Pick<EventLog, 'append'>
  clock: Clock
  /** Whether events wait for a place. */
  behind(): boolean
  /** So many handlers' events go without waiting for more. */
  enough: number
  /** Longest wait for company, ms. */
  gatherMs: number
}

/** @returns appends the records of one handler; resolves when they are durable, rejects when none may be taken to be */
export function createAppender({ log, clock, behind, enough, gatherMs }: AppenderOptions) {
  let gathered: { records: readonly NewRecord[]; done: PromiseWithResolvers<void> }[] = []

  async function flush(): Promise<void> {
    const all = gathered
    gathered = []
    if (all.length === 0) return
    try {
      await log.append(all.flatMap(one => one.records))
      for (const { done } of all) done.resolve()
    } catch (thrown) {
      // An outage is everybody's; what else a log refuses may be one handler's fault, and must not be its neighbours'.
      const alone = all.length > 1 && toRaylogError(thrown).entry.verdict !== 'wait'
      for (const { records, done } of all) {
        if (alone) log.append(records).then(() => done.resolve(), done.reject)
        else done.reject(thrown)
      }
    }
  }

  return async (records: readonly NewRecord[]): Promise<void> => {
    if (gathered.length === 0 && !behind()) {
      await log.append(records)
      return
    }
    const done = Promise.withResolvers<void>()
    gathered.push({ records, done })
    if (gathered.length >= enough || !behind()) void flush()
    else if (gathered.length === 1) void clock.sleep(gatherMs).then(flush)
    await done.promise
  }
}
