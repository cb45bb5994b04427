/** Which deliveries of a queue are under way, and which may begin next: a page of the queue at a time, oldest first. */
import type { Clock } from '../../monitoring/clock.ts'
import type { ReportDeliveryDoc } from '../../schemas/report-delivery.ts'
import type { DocumentStore } from '../../storage/documents.ts'

export interface UnderWay {
  readonly size: number
  /** The next that is due: not under way, and no other revision of it is. @throws what the store throws */
  next(): Promise<ReportDeliveryDoc | undefined>
  add(delivery: ReportDeliveryDoc, done: Promise<void>): void
  remove(delivery: ReportDeliveryDoc): void
  /** Resolves when none is left. */
  settled(): Promise<unknown>
}

const pageSize = 64

export function createUnderWay(
  documents: Pick<DocumentStore, 'find'>,
  clock: Clock,
  { name, concurrency }: { name: string; concurrency: number },
): UnderWay {
  const running = new Map<string, { line: string; done: Promise<void> }>()
  let page: ReportDeliveryDoc[] = []

  function take(): ReportDeliveryDoc | undefined {
    const lines = new Set([...running.values()].map(({ line }) => line))
    const at = page.findIndex(({ id, line }) => !running.has(id) && !lines.has(line))
    return at < 0 ? undefined : page.splice(at, 1)[0]
  }

  return {
    get size() {
      return running.size
    },
    async next() {
      const held = take()
      if (held) return held
      const where = { queue: name, at: { lt: clock.now() + 1 } }
      // Those under way are still in the queue, before the others.
      page = (await documents.find('reportDeliveries', { where, order: 'oldest', limit: pageSize + concurrency })).items
      return take()
    },
    add({ id, line }, done) {
      running.set(id, { line, done })
    },
    remove({ id }) {
      running.delete(id)
    },
    settled: () => Promise.allSettled([...running.values()].map(({ done }) => done)),
  }
}
