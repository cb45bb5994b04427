/** How many messages someone gets in an hour, kept for all replicas together. */
import type { NoticeDoc, NoticeTarget } from '../../schemas/notice.ts'
import type { DocumentStore } from '../../storage/documents.ts'

const hourMs = 3_600_000

/** Takes one message of the person's hour. @returns null, or when there is room for it; ms since the epoch */
export type Budget = (target: NoticeTarget, mostPerHour: number, notice: NoticeDoc) => Promise<number | null>

/** One message by several channels is one of them. What a crash repeats may count twice: then someone waits a little. */
export function createBudget(documents: Pick<DocumentStore, 'get' | 'insert' | 'advance'>, now: () => number): Budget {
  /** Of one notification and person, while it is being taken. */
  const underWay = new Map<string, Promise<number | null>>()
  /** By person, while the store is asked: those that came meanwhile. */
  const waiting = new Map<string, PromiseWithResolvers<number | null>[]>()

  /** Takes as many as there is room for. @returns how many, and when there is room for the others */
  async function take(person: string, mostPerHour: number, wanted: number): Promise<{ taken: number; later: number }> {
    for (;;) {
      const at = now()
      const known = await documents.get('noticeBudgets', person)
      const before = (known?.times ?? []).filter(time => time > at - hourMs)
      const taken = Math.min(wanted, Math.max(0, mostPerHour - before.length))
      const times = [...before, ...Array.from({ length: taken }, () => at)]
      const answer = { taken, later: (times.at(-mostPerHour) ?? at) + hourMs }
      if (taken === 0) return answer
      const next = { id: person, version: (known?.version ?? 0) + 1, times, updatedAt: at }
      const kept = known
        ? await documents.advance('noticeBudgets', next)
        : await documents.insert('noticeBudgets', next)
      if (kept) return answer
    }
  }

  /** Those who wait are one write together: each for itself they would undo each other's, and a slow disk never catch up. */
  async function takeAll(person: string, mostPerHour: number): Promise<void> {
    for (let asked = waiting.get(person); asked && asked.length > 0; asked = waiting.get(person)) {
      waiting.set(person, [])
      const all = asked
      await take(person, mostPerHour, all.length).then(
        ({ taken, later }) => {
          for (const [number, { resolve }] of all.entries()) resolve(number < taken ? null : later)
        },
        (thrown: unknown) => {
          for (const { reject } of all) reject(thrown)
        },
      )
    }
    waiting.delete(person)
  }

  function takeOne(person: string, mostPerHour: number): Promise<number | null> {
    const one = Promise.withResolvers<number | null>()
    const others = waiting.get(person)
    if (others) others.push(one)
    else {
      waiting.set(person, [one])
      void takeAll(person, mostPerHour)
    }
    return one.promise
  }

  return ({ person, tries }, mostPerHour, { id, edition }) => {
    // What is tried again was counted.
    if (tries > 0) return Promise.resolve(null)
    const key = `${id} ${edition} ${person}`
    const known = underWay.get(key)
    if (known) return known
    const taking = takeOne(person, mostPerHour).finally(() => queueMicrotask(() => underWay.delete(key)))
    underWay.set(key, taking)
    return taking
  }
}
