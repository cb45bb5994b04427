/**
 * The queue of one destination, in this process. Of all processes one works on it (a term, storage/terms.ts), so that its
 * concurrency, its rate and its breaker are those of the whole system; the others look whether they may take over. However long
 * the queue is, what is in memory is a page of it.
 */
import { toRaylogError } from '../../schemas/errors.ts'
import type { ReportQueueDoc } from '../../schemas/report-delivery.ts'
import { beginTerm, type Term, type TermStore, Watch } from '../../storage/terms.ts'
import type { AttemptContext } from './attempt.ts'
import { workOn } from './tenure.ts'

export interface QueueContext extends AttemptContext {
  /** Names this process among all that may deliver. */
  owner: string
  leaseMs: number
  pollMs: number
  stopMs: number
}

export interface Queue {
  /** Something was put in it. */
  poke(): void
  /** Takes nothing new, lets what is under way arrive, and lets go of the destination. */
  close(): Promise<void>
}

/** Terms that are over and kept, for people. */
const termsKept = 3

export function openQueue(context: QueueContext): Queue {
  const { documents, clock, logger, destination, owner, leaseMs, pollMs } = context
  const { name, kind } = destination
  const lease = { clock, leaseMs }
  const watch = new Watch(lease)
  const stopping = new AbortController()
  let alarm = Promise.withResolvers<void>()
  const poke = () => alarm.resolve()

  /** Until somebody pokes, or so long. */
  async function rest(ms: number): Promise<void> {
    const over = new AbortController()
    const signal = AbortSignal.any([over.signal, stopping.signal])
    await Promise.race([alarm.promise, clock.sleep(ms, signal).catch(() => undefined)])
    over.abort()
    alarm = Promise.withResolvers<void>()
  }

  const terms: TermStore<ReportQueueDoc> = {
    newest: async () => (await documents.find('reportQueues', { where: { destination: name }, limit: 1 })).items[0],
    insert: doc => documents.insert('reportQueues', doc),
    upsert: doc => documents.upsert('reportQueues', [doc]),
  }

  /** @returns undefined while another process has it */
  async function claim(): Promise<Term<ReportQueueDoc> | undefined> {
    const last = await terms.newest()
    // One of this process' own is over, or it would not be asked for.
    if (last && last.owner !== owner && !watch.isFree(name, last)) return undefined
    const epoch = (last?.epoch ?? 0) + 1
    const term = await beginTerm(terms, lease, {
      ...{ id: `${name}:${epoch}`, destination: name, kind, epoch, owner, beat: 0, updatedAt: clock.now() },
      ...{ breaker: 'closed', failingSince: null, code: null, message: null },
    })
    if (term && epoch > termsKept) await documents.delete('reportQueues', `${name}:${epoch - termsKept}`)
    return term
  }

  async function watchOver(): Promise<void> {
    let away = false
    while (!stopping.signal.aborted) {
      try {
        const term = await claim()
        if (term) await workOn(context, { term, rest, poke, stopping: stopping.signal })
        away = false
      } catch (thrown) {
        if (!away && !stopping.signal.aborted)
          logger.warn({ destination: name, code: toRaylogError(thrown).code }, 'the queue cannot be worked on')
        away = true
      }
      await rest(pollMs)
    }
  }
  const watching = watchOver()

  return {
    poke,
    async close() {
      stopping.abort(new Error('stopping'))
      poke()
      await watching
    },
  }
}
