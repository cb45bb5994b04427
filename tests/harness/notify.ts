/** The notify stage on real stores, with its notifications on hand. */
import type { Logger } from 'pino'
import { notify } from '../../consumers/notify/stage.ts'
import type { Clock } from '../../monitoring/clock.ts'
import type { NoticeDoc } from '../../schemas/notice.ts'
import type { AuditEntry, NotificationStep } from '../../schemas/topics.ts'
import type { DocumentStore } from '../../storage/documents.ts'
import { HandClock } from './hand-clock.ts'
import { openForTest } from './stage.ts'
import { bareHttp, type Stores } from './stores.ts'
import { until } from './until.ts'

/** Time goes on between two looks for what is due: one that is under way would see the time before, and then sleep. */
export async function pass(clock: HandClock, ms: number, lookMs = 500): Promise<void> {
  await until('the stage waits for its next look', () => clock.sleeping.includes(lookMs))
  clock.move(ms)
}

export async function openNotify(
  stores: Omit<Stores, 'documents'> & { documents: DocumentStore },
  settings: object,
  options: { clock?: Clock; showNames?: boolean; logger?: Logger } = {},
) {
  const { clock = new HandClock(), showNames = false, logger } = options
  const http = bareHttp()
  const steps: NotificationStep[] = []
  const audit: AuditEntry[] = []
  const stage = await openForTest(
    notify,
    { ...stores, http },
    {
      ...{ settings, clock, showNames, ...(logger && { logger }) },
      async publish({ name }, ...events) {
        for (const event of events) {
          const list: unknown[] = name === 'platform.audit.v1' ? audit : steps
          list.push(event)
        }
        return []
      },
    },
  )
  const all = async (): Promise<NoticeDoc[]> =>
    (await stores.documents.find('notices', { limit: 1000 })).items.toSorted((a, b) => a.createdAt - b.createdAt)
  return {
    ...stage,
    http,
    steps,
    audit,
    notices: all,
    /** Of the one notification that there is. */
    settled: (outcome: string) =>
      until(`it is ${outcome}`, async () => {
        const [notice] = await all()
        return notice?.phase === 'settled' && notice.outcome === outcome ? notice : undefined
      }),
    phase: (phase: string) =>
      until(`it is ${phase}`, async () => {
        const [notice] = await all()
        return notice?.phase === phase ? notice : undefined
      }),
    test: async (id: string, at?: number) => {
      const answer = await http.inject({ method: 'POST', url: '/api/v1/notifications/test', payload: { id, at } })
      return { status: answer.statusCode, ...answer.json() }
    },
  }
}
