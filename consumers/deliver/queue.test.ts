import { describe, expect, it } from 'vitest'
import { RaylogError } from '../../schemas/errors.ts'
import { requeued } from '../../schemas/report-delivery.ts'
import { HandClock } from '../../tests/harness/hand-clock.ts'
import { queuesPerTest } from '../../tests/harness/queues.ts'
import { aReport, fakeSender, put } from '../../tests/harness/reports.ts'
import { until } from '../../tests/harness/until.ts'
import { backoff } from './backoff.ts'
import { Undelivered } from './sender.ts'

const on = queuesPerTest()
const { queueOf, reports, over, holder } = on
const all = async () => (await on.stores.documents.find('reportDeliveries', { limit: 1000 })).items
const count = (state: string) => on.stores.documents.count('reportDeliveries', { state })

describe('the queue of a destination', () => {
  it('tries again at a whole millisecond, as times are told', () => {
    const pause = (attempt: number, chance: number) => backoff({ firstMs: 1_000, mostMs: 3_000 }, attempt, () => chance)
    expect([pause(1, 0), pause(1, 0.1234567), pause(2, 1), pause(9, 1)]).toEqual([500, 562, 2_000, 3_000])
  })

  it('sends each report once, tells of it once, and is empty then', async () => {
    const deliveries = await put(on.stores, await reports(200))
    const sender = fakeSender()
    sender.behave(async () => void (await until('eight at once', () => sender.most === 8, { everyMs: 1 })))
    const queue = queueOf(sender, { settings: { concurrency: 8 } })
    await over(200)
    expect([...sender.reports].sort()).toEqual(deliveries.map(({ report }) => report).sort())
    expect(queue.told).toHaveLength(200)
    expect(await count('sent')).toBe(200)
    expect(sender.most).toBe(8)
    expect(await all()).toContainEqual(
      expect.objectContaining({ state: 'sent', attempts: 1, redelivered: false, receipt: 'taken', code: null }),
    )
  })

  it('tries again what was not answered, and says why meanwhile', async () => {
    await put(on.stores, await reports(1))
    const sender = fakeSender()
    let read = false
    sender.behave(() => {
      if (!read || sender.seen.length < 4)
        throw new Undelivered('nobody there', { code: 'peer-unavailable', answered: false })
    })
    queueOf(sender, { settings: { restAfter: 2 } })
    await until('the reason stands in the document', async () => (await all())[0]?.code === 'peer-unavailable')
    read = true
    await over(1)
    expect((await all())[0]).toMatchObject({ state: 'sent', attempts: sender.seen.length, code: null, message: null })
    expect(sender.seen.length).toBeGreaterThanOrEqual(4)
  })

  it('does not send again what is refused', async () => {
    await put(on.stores, await reports(1))
    const sender = fakeSender()
    sender.behave(() => {
      throw new Undelivered('no', { code: 'peer-refused', final: true })
    })
    const queue = queueOf(sender)
    await over(1)
    expect((await all())[0]).toMatchObject({ state: 'refused', attempts: 1, code: 'peer-refused', message: 'no' })
    expect(queue.told.map(({ state }) => state)).toEqual(['refused'])
  })

  it('gives up after its time, and refuses a report whose object is gone', async () => {
    const [late, gone] = await reports(2)
    await put(on.stores, late ? [late] : [], Date.now() - 60_000)
    await put(on.stores, gone ? [{ ...gone, object: `00/${'0'.repeat(64)}` }] : [])
    const sender = fakeSender()
    sender.behave(() => {
      throw new Undelivered('busy')
    })
    queueOf(sender, { settings: { giveUpMs: 30_000 } })
    await over(2)
    const found = Object.fromEntries((await all()).map(({ report, state, code }) => [report, `${state} ${code}`]))
    expect(found).toEqual({ rp_0: 'refused delivery-failed', rp_1: 'refused object-missing' })
  })

  it('leaves a destination alone that does not answer: one report finds out, the others wait', async () => {
    const clock = new HandClock()
    await put(on.stores, await reports(20), clock.now())
    const sender = fakeSender()
    let there = false
    sender.behave(() => {
      if (!there) throw new Undelivered('nobody there', { code: 'peer-unavailable', answered: false })
    })
    queueOf(sender, {
      clock,
      leaseMs: 60_000,
      settings: { concurrency: 1, restAfter: 3, restMs: 1_000, maxRestMs: 1_000 },
    })
    await until('it is open', async () => (await holder())?.breaker === 'open')
    expect(sender.seen).toHaveLength(3)
    expect(await holder()).toMatchObject({ code: 'peer-unavailable', failingSince: clock.now() })
    clock.move(1_000)
    await until('one tried', () => sender.seen.length === 4)
    await until('it is open again', async () => (await holder())?.breaker === 'open')
    there = true
    clock.move(1_000)
    await over(20)
    expect(await holder()).toMatchObject({ breaker: 'closed', failingSince: null, code: null })
  })

  it('does not call a destination dead that refuses one report', async () => {
    await put(on.stores, await reports(10))
    const sender = fakeSender()
    sender.behave(({ delivery }) => {
      if (delivery.report !== 'rp_9') throw new Undelivered('no', { code: 'peer-refused', final: true })
    })
    queueOf(sender, { settings: { concurrency: 1, restAfter: 1, restMs: 3_600_000 } })
    await over(10)
    expect(await count('sent')).toBe(1)
  })

  it('sends again, and marks it, what was under way when its process died', async () => {
    const [delivery] = await put(on.stores, await reports(1))
    if (!delivery) throw new Error('none')
    await on.stores.documents.upsert('reportDeliveries', [{ ...delivery, version: 2, state: 'sending', attempts: 1 }])
    const sender = fakeSender()
    queueOf(sender)
    await over(1)
    expect(sender.seen[0]?.delivery).toMatchObject({ redelivered: true, id: delivery.id, attempts: 2 })
    expect((await all())[0]).toMatchObject({ state: 'sent', redelivered: true })
  })

  it('only tells of what was sent when its process died before it could', async () => {
    const [delivery] = await put(on.stores, await reports(1))
    if (!delivery) throw new Error('none')
    await on.stores.documents.upsert('reportDeliveries', [{ ...delivery, version: 3, state: 'sent', attempts: 1 }])
    const sender = fakeSender()
    const queue = queueOf(sender)
    await over(1)
    expect(sender.seen).toEqual([])
    expect(queue.told.map(({ id }) => id)).toEqual([delivery.id])
  })

  it('keeps what became of it while the log is away, and does not send twice for it', async () => {
    await put(on.stores, await reports(1))
    const sender = fakeSender()
    let away = 3
    queueOf(sender, {
      async tell() {
        if (away-- > 0) throw new RaylogError('log-unavailable', 'away')
      },
    })
    await over(1)
    expect(sender.seen).toHaveLength(1)
  })

  it('is worked on by one process at a time, and by another when that one is silent', async () => {
    const [stopped, clock] = [new HandClock(), new HandClock()]
    const [first, second] = [fakeSender(), fakeSender()]
    const one = queueOf(first, { clock: stopped, owner: 'one' })
    await until('the first has it', async () => (await holder())?.owner === 'one')
    const two = queueOf(second, { clock, owner: 'two', leaseMs: 1_000 })
    await put(on.stores, await reports(5), clock.now())
    for (const queue of [two, one]) queue.poke()
    await over(5)
    expect([first.seen.length, second.seen.length]).toEqual([5, 0])
    first.behave((_, signal) => new Promise((_, no) => signal.addEventListener('abort', () => no(signal.reason))))
    await put(on.stores, [await aReport(on.stores, 77)], clock.now())
    one.poke()
    await until('the first is at it', () => first.seen.length === 6)
    // Its clock stands still from here on, as that of a process that hangs: it shows no sign of life.
    await until('the second has sent it', () => {
      clock.move(50)
      return second.seen.length === 1
    })
    await over(6)
    expect(second.seen[0]?.delivery).toMatchObject({ report: 'rp_77', redelivered: true })
    expect((await holder())?.owner).toBe('two')
  })

  it('keeps the revisions of a report in their order, one at a time', async () => {
    const revisions = await Promise.all(
      [1, 2, 3].map(revision => aReport(on.stores, 1, { revision, content: Buffer.from(`revision ${revision}`) })),
    )
    const now = Date.now()
    for (const [n, report] of revisions.entries()) await put(on.stores, [report], now - 10 + n)
    const sender = fakeSender()
    queueOf(sender, { settings: { concurrency: 8 } })
    await over(3)
    expect(sender.seen.map(({ delivery }) => delivery.revision)).toEqual([1, 2, 3])
    expect(sender.most).toBe(1)
  })

  it('does not send an older revision after a newer one where the destination keeps the newest alone', async () => {
    const now = Date.now()
    const older = await aReport(on.stores, 1, { revision: 1, content: Buffer.from('older') })
    const newer = await aReport(on.stores, 1, { revision: 2, content: Buffer.from('newer') })
    await put(on.stores, [newer], now - 20)
    await put(on.stores, [older], now - 10)
    const sender = fakeSender(true)
    const queue = queueOf(sender)
    await over(2)
    expect(sender.seen.map(({ delivery }) => delivery.revision)).toEqual([2])
    expect(queue.told.map(({ state, revision }) => `${revision} ${state}`).sort()).toEqual(['1 superseded', '2 sent'])
  })

  it('keeps what the destination said before of a report that is asked for again, whatever becomes of that', async () => {
    const sender = fakeSender(true)
    const queue = queueOf(sender)
    const first = await aReport(on.stores, 1, { revision: 1 })
    await put(on.stores, [first])
    queue.poke()
    await over(1)
    const [sent = expect.unreachable('none')] = await all()
    const again = requeued(sent, Date.now()) ?? expect.unreachable('it is over')
    // As it is asked for, a newer one comes.
    await put(on.stores, [await aReport(on.stores, 1, { revision: 2, content: Buffer.from('newer') })])
    await on.stores.documents.upsert('reportDeliveries', [again])
    queue.poke()
    await over(2)
    const { sentAt, receipt, commitment } = sent
    expect([sentAt, receipt]).toEqual([expect.any(Number), 'taken'])
    expect(await on.stores.documents.get('reportDeliveries', sent.id)).toMatchObject({
      ...{ state: 'superseded', resends: 1, receipt: null, sentAt: null },
      earlier: [{ sentAt, receipt, commitment }],
    })
  })

  it('sends no faster than it may', async () => {
    const clock = new HandClock()
    await put(on.stores, await reports(3), clock.now())
    const sender = fakeSender()
    queueOf(sender, { clock, settings: { ratePerSecond: 1, concurrency: 3 } })
    await until('one is sent', async () => (await count('sent')) === 1)
    clock.move(999)
    await until('it looked again', async () => ((await holder())?.beat ?? 0) > 1)
    expect(sender.seen).toHaveLength(1)
    clock.move(1)
    await until('two are sent', async () => (await count('sent')) === 2)
    expect(sender.seen).toHaveLength(2)
  })
})
