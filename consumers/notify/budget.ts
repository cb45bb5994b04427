/** How many messages someone gets in an hour, kept for all replicas together. */
import type { NoticeDoc, NoticeTarget } from '../../schemas/notice.ts'
import type { DocumentStore } from '../../storage/documents.ts'

const hourMs = 3_600_000

/** Takes one message of the person's hour. @returns null, or when there is room for it; ms since the epoch */
export type Budget = (target: NoticeTarget, mostPerHour: number, notice: NoticeDoc) => Promise<number | null>

/** One message by several channels is one of them. What a crash repeats may count twice: then someone waits a little. */
export function createBudget(documents: DocumentStore, now: () => number): Budget {
  /** Of one notification and person, while it is being taken. */
  const underWay = new Map<string, Promise<number | null>>()

  async function take(person: string, mostPerHour: number): Promise<number | null> {
    for (;;) {
      const at = now()
      const known = await documents.get('noticeBudgets', person)
      const times = (known?.times ?? []).filter(time => time > at - hourMs)
      const oldest = times.at(-mostPerHour)
      if (oldest !== undefined) return oldest + hourMs
      const next = { id: person, version: (known?.version ?? 0) + 1, times: [...times, at], updatedAt: at }
      const taken = known
        ? await documents.advance('noticeBudgets', next)
        : await documents.insert('noticeBudgets', next)
      if (taken) return null
    }
  }

  return ({ person, tries }, mostPerHour, { id, edition }) => {
    // What is tried again was counted.
    if (tries > 0) return Promise.resolve(null)
    const key = `${id} ${edition} ${person}`
    const known = underWay.get(key)
    if (known) return known
    const taking = take(person, mostPerHour).finally(() => queueMicrotask(() => underWay.delete(key)))
    underWay.set(key, taking)
    return taking
  }
}
