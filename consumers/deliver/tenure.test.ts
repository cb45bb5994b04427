/** What a process' time with a destination stands: stores that are away, faults of ours. */
import { describe, expect, it } from 'vitest'
import { RaylogError } from '../../schemas/errors.ts'
import { HandClock } from '../../tests/harness/hand-clock.ts'
import { queuesPerTest } from '../../tests/harness/queues.ts'
import { aReport, fakeSender, put } from '../../tests/harness/reports.ts'
import { until } from '../../tests/harness/until.ts'
import { Undelivered } from './sender.ts'

const on = queuesPerTest()
const { queueOf, reports, over, holder } = on

describe('a time with a destination', () => {
  it.each([
    ['a beat, and keeps its term', 1_000],
    ['the lease, and loses its term', 20_000],
  ])('sends nothing twice where the documents are away for longer than %s', async (_what, outageMs) => {
    const clock = new HandClock()
    await put(on.stores, await reports(4), clock.now())
    const { documents } = on.stores
    let away = false
    const failed = { advance: 0, upsert: 0 }
    const unless = (what: keyof typeof failed) => {
      if (!away) return
      failed[what]++
      throw new RaylogError('store-unavailable', 'away')
    }
    const flaky: typeof documents = {
      ...documents,
      advance: async (...args) => unless('advance') ?? documents.advance(...args),
      upsert: async (...args) => unless('upsert') ?? documents.upsert(...args),
    }
    const sender = fakeSender()
    // None arrives before the documents are away, so that none can be noted.
    sender.behave(async () => void (await until('they are away', () => away, { everyMs: 1 })))
    const queue = queueOf(sender, { clock, documents: flaky, settings: { concurrency: 4 } })
    await until('all are under way', () => sender.seen.length === 4)
    away = true
    await until('none could be noted', () => failed.advance >= 4)
    const end = clock.now() + outageMs
    await until('time has passed', () => {
      clock.move(50)
      queue.poke()
      return clock.now() >= end && failed.upsert > 1
    })
    away = false
    await until('all are over', async () => {
      clock.move(50)
      return (await on.stores.documents.count('reportDeliveries', { queue: null })) === 4
    })
    expect(sender.reports.toSorted()).toEqual(['rp_0', 'rp_1', 'rp_2', 'rp_3'])
    expect(queue.told).toHaveLength(4)
  })

  it('rests before it begins again what fails for no reason that passes', async () => {
    const clock = new HandClock()
    const [bad] = await put(on.stores, await reports(1), clock.now())
    const { documents } = on.stores
    let tried = 0
    const broken: typeof documents = {
      ...documents,
      async advance(collection, doc) {
        if (doc.id !== bad?.id) return await documents.advance(collection, doc)
        tried++
        throw new Error('a fault of ours')
      },
    }
    const queue = queueOf(fakeSender(), { clock, documents: broken, settings: { concurrency: 2 } })
    await until('it was tried', () => tried > 0)
    const others = Array.from({ length: 20 }, (_, n) => aReport(on.stores, n + 1))
    await put(on.stores, await Promise.all(others), clock.now())
    queue.poke()
    await over(20)
    expect(tried).toBe(1)
    clock.move(50)
    await until('it is tried again', () => tried === 2)
  })

  it('leaves a destination alone that does not answer, whatever faults of ours come between', async () => {
    await put(on.stores, await reports(8))
    const sender = fakeSender()
    sender.behave(() => {
      if (sender.seen.length % 2 === 0) throw new Error('a fault of ours')
      throw new Undelivered('nobody there', { code: 'peer-unavailable', answered: false })
    })
    queueOf(sender, { settings: { concurrency: 1, restAfter: 3, restMs: 3_600_000, maxRestMs: 3_600_000 } })
    await until('it is open', async () => (await holder())?.breaker === 'open')
    expect(sender.seen).toHaveLength(5)
  })
})
