/**
 * A critical result while the process that tells of it dies: at each write of its story in turn, before it is done and after, unknown
 * to who asked for it. Whoever comes next tells everybody, marks what may have come before, and the trail has each step once.
 */
import { describe, expect, it } from 'vitest'
import { topics } from '../../schemas/topics.ts'
import type { DocumentStore } from '../../storage/documents.ts'
import { anAssessment, began } from '../../tests/gateway/samples.ts'
import { HandClock } from '../../tests/harness/hand-clock.ts'
import { startMail } from '../../tests/harness/mail.ts'
import { openNotify } from '../../tests/harness/notify.ts'
import { ownStores } from '../../tests/harness/own-stores.ts'
import { until } from '../../tests/harness/until.ts'

const own = ownStores()
const minute = 60_000
const withinMs = 10 * minute
const leaseMs = 15_000
const lookMs = 500
/** Notification and claim, delivery, sent, kept, on the log; six for the next of the chain; and that nobody answered, on the log. */
const writes = 13

/** A store that dies with its process at the nth write; `done`: the write is there all the same. */
function dying(
  documents: DocumentStore,
  nth: number,
  done: boolean,
): { documents: DocumentStore; dead: () => boolean } {
  let count = 0
  const dead = () => count >= nth
  const gone = () => Promise.reject(new Error('killed'))
  async function write<T>(act: () => Promise<T>): Promise<T> {
    if (dead()) return gone()
    count++
    if (!dead()) return act()
    if (done) await act()
    return gone()
  }
  const get: DocumentStore['get'] = (...what) => (dead() ? gone() : documents.get(...what))
  const find: DocumentStore['find'] = (...what) => (dead() ? gone() : documents.find(...what))
  const insert: DocumentStore['insert'] = (...what) => write(() => documents.insert(...what))
  const upsert: DocumentStore['upsert'] = (...what) => write(() => documents.upsert(...what))
  const advance: DocumentStore['advance'] = (...what) => write(() => documents.advance(...what))
  return { documents: { ...documents, get, find, insert, upsert, advance }, dead }
}

async function openStory(nth: number, done: boolean) {
  const clock = new HandClock(began)
  const mail = await startMail()
  own.closing.push(() => mail[Symbol.asyncDispose]())
  const told: { who: string; at: number; marked: boolean }[] = []
  mail.onMail = one => {
    const marked = one.header('X-Raylog-Redelivered') === 'true' && one.raw.includes('This may be a repeat')
    told.push({ who: one.to.join().split('@')[0] ?? '', at: clock.now(), marked })
  }
  const channel = { kind: 'email', host: '127.0.0.1', port: mail.port, security: 'none', from: 'r@h.example' }
  const settings = {
    channels: [{ name: 'mail', ...channel }],
    people: ['martin', 'chief'].map(name => ({ name, reach: [{ channel: 'mail', address: `${name}@h.example` }] })),
    rules: [{ name: 'critical', to: ['martin'], acknowledge: { withinMs, chain: ['chief'] } }],
    ...{ lookMs, leaseMs, attempts: 1 },
  }
  const first = dying(own.stores.documents, nth, done)
  async function open(documents: DocumentStore) {
    const stage = await openNotify({ ...own.stores, documents }, settings, { clock })
    own.closing.push(() => stage.close())
    return stage
  }
  const notice = async () => (await own.stores.documents.find('notices')).items[0]
  const stages = [await open(first.documents)]

  /** Time goes by as it is needed, until it is over, or the process dies. */
  async function goOn(isOver: () => boolean, deadOwner: string | null): Promise<void> {
    await until('it is over', async () => {
      if (isOver()) return true
      const { phase, owner } = (await notice()) ?? {}
      if (phase === 'settled') return true
      if (!clock.sleeping.includes(lookMs)) return undefined
      const leftBehind = phase === 'sending' && owner === deadOwner
      clock.move(phase === 'awaiting' ? 5 * minute : leftBehind ? leaseMs : lookMs)
      return undefined
    })
  }
  return { told, stages, open, notice, goOn, ...first }
}

it('the story has no more writes than those at which a process is killed', async () => {
  const { stages, notice, goOn, dead } = await openStory(writes + 1, false)
  await stages[0]?.hand(topics.studies, anAssessment(1, { completedAt: began, assessedAt: began }))
  await goOn(dead, null)
  expect(await notice()).toMatchObject({ phase: 'settled', outcome: 'unanswered' })
  await stages[0]?.close()
  expect(dead()).toBe(false)
})

describe.each([
  ['before it is done', false],
  ['when it is done', true],
])('a process that is killed at a write, %s,', (_, done) => {
  it.each(Array.from({ length: writes }, (_, n) => n + 1))('number %i, leaves nobody untold', async nth => {
    const { told, stages, open, notice, goOn, dead } = await openStory(nth, done)
    const event = anAssessment(1, { completedAt: began, assessedAt: began })
    const isRead = await stages[0]?.hand(topics.studies, event).then(
      () => true,
      () => false,
    )
    await goOn(dead, null)
    expect(dead(), 'the story has so many writes').toBe(true)
    await stages[0]?.close()

    const second = await open(own.stores.documents)
    stages.push(second)
    const deadOwner = (await notice())?.owner ?? null
    // What was not said to be done is read again.
    if (!isRead) await second.hand(topics.studies, event, { attempt: 2 })
    await goOn(() => false, deadOwner)

    expect(await notice()).toMatchObject({ phase: 'settled', outcome: 'unanswered' })
    const copies = Map.groupBy(told, ({ who }) => who)
    expect([...copies.keys()]).toEqual(['martin', 'chief'])
    for (const [who, [, ...again]] of copies)
      for (const copy of again) expect(copy.marked, `${who} was told again without saying so`).toBe(true)
    const [martin = 0, chief = 0] = [...copies.values()].map(([first]) => first?.at)
    expect(chief - martin, 'after the time, and soon after').toBeGreaterThanOrEqual(withinMs)
    expect(chief - martin).toBeLessThanOrEqual(withinMs + 5 * minute + leaseMs)
    const once = <T extends { id: string }>(all: T[]) => [...new Map(all.map(one => [one.id, one])).values()]
    expect(once(stages.flatMap(({ audit }) => audit)).map(({ action, actor }) => `${action} ${actor}`)).toEqual([
      'result-sent martin',
      'result-escalated chief',
      'result-sent chief',
      'result-unanswered raylog',
    ])
    expect(once(stages.flatMap(({ steps }) => steps)).map(({ what }) => what)).toEqual([
      ...['sent', 'escalated', 'sent', 'unanswered'],
    ])
  })
})
