import { afterEach, beforeEach, expect, it } from 'vitest'
import { RaylogError } from '../../schemas/errors.ts'
import type { NoticeDoc, NoticeTarget } from '../../schemas/notice.ts'
import { aNotice } from '../../tests/gateway/samples.ts'
import { HandClock } from '../../tests/harness/hand-clock.ts'
import { openStores, type Stores } from '../../tests/harness/stores.ts'
import { createBudget } from './budget.ts'

let stores: Stores
beforeEach(async () => {
  stores = await openStores()
})
afterEach(() => stores.close())

const hour = 3_600_000
const clock = new HandClock()
const target = (over: object = {}): NoticeTarget => ({
  ...{ person: 'ada', channel: 'mail', edition: 1, step: 0, state: 'waiting' },
  ...{ dueAt: 0, why: null, tries: 0, ...over },
})
const notice = (n: number): NoticeDoc => ({ ...aNotice(n), edition: 1 })
const kept = async () => (await stores.documents.get('noticeBudgets', 'ada'))?.times.length
/** A replica's budget, and how often it wrote. */
function replica(get = stores.documents.get) {
  const count = { writes: 0 }
  const { insert, advance } = stores.documents
  const counted =
    <A extends unknown[]>(write: (...what: A) => Promise<boolean>) =>
    (...what: A) => {
      count.writes++
      return write(...what)
    }
  const documents = { get, insert: counted(insert), advance: counted(advance) }
  return { count, take: createBudget(documents, clock.now) }
}
const room = (answers: readonly (number | null)[]) => answers.filter(answer => answer === null).length

it('takes for all who wait by one write, and tells the others when there is room', async () => {
  const { take, count } = replica()
  const answers = await Promise.all(Array.from({ length: 200 }, (_, n) => take(target(), 120, notice(n))))
  expect(room(answers)).toBe(120)
  expect(new Set(answers)).toEqual(new Set([null, clock.now() + hour]))
  expect(await kept()).toBe(120)
  // The first, then those who came while it was written.
  expect(count.writes).toBe(2)
})

it('lets no more through than there is room for, however many replicas take', async () => {
  const all = [replica(), replica(), replica()]
  const answers = await Promise.all(all.flatMap(({ take }) => [1, 2, 3, 4].map(n => take(target(), 7, notice(n)))))
  expect(room(answers)).toBe(7)
  expect(await kept()).toBe(7)
})

it('takes one for all channels of a notification, and none for what is tried again', async () => {
  const { take } = replica()
  const twice = await Promise.all(['mail', 'hook'].map(channel => take(target({ channel }), 1, notice(1))))
  expect(twice).toEqual([null, null])
  expect(await take(target({ tries: 1 }), 1, notice(1))).toBeNull()
  expect(await take(target(), 1, notice(2))).toBe(clock.now() + hour)
  expect(await take(target({ person: 'martin' }), 1, notice(2)), 'another has an hour of his own').toBeNull()
})

it('fails for all who wait while the store is away, and takes again when it is back', async () => {
  let away = true
  const { get } = stores.documents
  const { take } = replica((...what) =>
    away ? Promise.reject(new RaylogError('store-unavailable', 'no answer')) : get(...what),
  )
  const outcomes = await Promise.allSettled([1, 2, 3].map(n => take(target(), 3, notice(n))))
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
  away = false
  expect(await Promise.all([1, 2, 3].map(n => take(target(), 3, notice(n))))).toEqual([null, null, null])
})
