import { once } from 'node:events'
import { createServer as createTcpServer } from 'node:net'
import { describe, expect, it } from 'vitest'
import type { Clock } from '../../monitoring/clock.ts'
import { topics } from '../../schemas/topics.ts'
import { aPrediction } from '../../tests/gateway/samples.ts'
import { freePort } from '../../tests/harness/raylog.ts'
import { until } from '../../tests/harness/until.ts'
import { quickClock, secret, webhookTests } from '../../tests/harness/webhooks.ts'

const kit = webhookTests()
const { closing, receiver, open, deliveries, counted } = kit

describe('a receiver that does not take it', () => {
  it.each([400, 401, 404, 410, 301, 302])('with %i is not asked again, and the failure is kept', async status => {
    const { url, received } = await receiver(() => ({ status, headers: { location: '/elsewhere' } }))
    const stage = await open([{ url, secret }])
    await stage.hand(topics.predictions, aPrediction(1))
    await stage.hand(topics.predictions, aPrediction(1))
    expect(received).toHaveLength(1)
    expect(await deliveries()).toMatchObject([
      { state: 'failed', attempts: 1, code: 'delivery-failed', message: expect.stringContaining(String(status)) },
    ])
    expect(await counted('failed')).toBe(1)
  })

  it.each([500, 503, 429, 408])('with %i is asked again, each time later, and has it then', async status => {
    const { url, received } = await receiver(n => ({ status: n < 4 ? status : 200, body: 'x'.repeat(200_000) }))
    const clock = quickClock()
    const stage = await open([{ url, secret }], { clock, backoffMs: 100 })
    await stage.hand(topics.predictions, aPrediction(1))
    expect(received).toHaveLength(4)
    expect(new Set(received.map(one => one.headers['webhook-id'])).size).toBe(1)
    expect(received.map(one => one.headers['raylog-attempt'])).toEqual(['1', '2', '3', '4'])
    for (const [i, most] of [100, 200, 400].entries()) {
      expect(clock.slept[i]).toBeGreaterThanOrEqual(most / 2)
      expect(clock.slept[i]).toBeLessThanOrEqual(most)
    }
    expect(await deliveries()).toMatchObject([{ state: 'sent', attempts: 4, code: null, message: null }])
  })

  it('for the time that it asks for is left alone so long, and given up on where that is too long', async () => {
    const { url } = await receiver(n => (n === 1 ? { status: 429, headers: { 'retry-after': '7' } } : { status: 200 }))
    const clock = quickClock()
    await (await open([{ url, secret }], { clock })).hand(topics.predictions, aPrediction(1))
    expect(clock.slept).toEqual([7000])

    const day = await receiver(() => ({ status: 503, headers: { 'retry-after': '86400' } }))
    await (await open([{ url: day.url, secret }], { clock })).hand(topics.predictions, aPrediction(1))
    expect(day.received).toHaveLength(1)
    expect((await deliveries()).filter(one => one.state === 'failed')).toHaveLength(1)
  })

  it('in all attempts has its failure kept with the reason, and the event is not parked', async () => {
    const { url, received } = await receiver(() => ({ status: 500 }))
    const stage = await open([{ url, secret }], { attempts: 3 })
    await stage.hand(topics.predictions, aPrediction(1))
    expect(received).toHaveLength(3)
    expect(await deliveries()).toMatchObject([
      { state: 'failed', attempts: 3, code: 'delivery-failed', message: 'the receiver answered 500' },
    ])
  })

  it('because it is not there, or breaks off, is told of without its URL', async () => {
    const breaking = createTcpServer(socket => socket.once('data', () => socket.destroy())).listen(0, '127.0.0.1')
    await once(breaking, 'listening')
    closing.push(() => new Promise(resolve => breaking.close(resolve)))
    const address = breaking.address()
    const port = typeof address === 'object' ? address?.port : 0
    const stage = await open(
      [
        { name: 'breaks', url: `http://127.0.0.1:${port}/?token=hidden`, secret },
        { name: 'none', url: `http://127.0.0.1:${await freePort()}/?token=hidden`, secret },
        { name: 'no-such-host', url: 'http://receiver.invalid/?token=hidden', secret },
      ],
      { attempts: 2 },
    )
    await stage.hand(topics.predictions, aPrediction(1))
    const all = await deliveries()
    expect(all).toHaveLength(3)
    for (const one of all) expect(one).toMatchObject({ state: 'failed', attempts: 2, code: 'delivery-failed' })
    for (const one of all) expect(one.message).toMatch(/cannot be reached \(\w+\)/)
    expect(JSON.stringify(all)).not.toContain('hidden')
  })

  it('in time is given up on after its own time', async () => {
    const { url } = await receiver(() => null)
    const stage = await open([{ url, secret, timeoutMs: 100 }], { attempts: 2 })
    await stage.hand(topics.predictions, aPrediction(1))
    expect(await deliveries()).toMatchObject([{ state: 'failed', attempts: 2, code: 'timed-out' }])
  })

  it('but sends elsewhere is followed on its own host alone', async () => {
    const other = await receiver()
    const astray = await receiver(() => ({ status: 307, headers: { location: other.url } }))
    const near = await receiver(n => (n === 1 ? { status: 308, headers: { location: '/moved' } } : { status: 200 }))
    const endless = await receiver(() => ({ status: 307, headers: { location: '/again' } }))
    const stage = await open([astray, near, endless].map(({ url }, i) => ({ name: `hook-${i}`, url, secret })))
    await stage.hand(topics.predictions, aPrediction(1))
    expect(other.received).toEqual([])
    expect(near.received.map(one => one.url)).toEqual(['/hook?token=hidden', '/moved'])
    expect(near.received[1]?.body).toBe(near.received[0]?.body)
    expect(endless.received).toHaveLength(4)
    const states = Object.fromEntries((await deliveries()).map(one => [one.destination, one.state]))
    expect(states).toEqual({ 'hook-0': 'failed', 'hook-1': 'sent', 'hook-2': 'failed' })
  })

  it('costs the others nothing: after a few it is left alone, and tried again later', async () => {
    let up = false
    const down = await receiver(() => ({ status: up ? 200 : 503 }))
    const fine = await receiver()
    const clock = quickClock()
    const stage = await open(
      [
        { name: 'down', url: down.url, secret },
        { name: 'fine', url: fine.url, secret },
      ],
      { clock, attempts: 2, restAfter: 3, restMs: 60_000 },
    )
    for (let i = 0; i < 10; i++) await stage.hand(topics.predictions, aPrediction(i))
    expect(fine.received).toHaveLength(10)
    expect(down.received, 'three deliveries of two attempts').toHaveLength(6)
    const failed = (await deliveries()).filter(one => one.state === 'failed')
    expect(failed).toHaveLength(10)
    expect(failed.filter(one => one.attempts === 0 && one.message?.startsWith('not tried'))).toHaveLength(7)

    clock.at += 60_000
    await stage.hand(topics.predictions, aPrediction(10))
    expect(down.received, 'one delivery tried').toHaveLength(8)
    await stage.hand(topics.predictions, aPrediction(11))
    expect(down.received, 'and rests again').toHaveLength(8)
    up = true
    clock.at += 60_000
    for (let i = 12; i < 20; i++) await stage.hand(topics.predictions, aPrediction(i))
    expect(down.received, 'all go through again').toHaveLength(16)
  })

  it('is tried again by the end of its rest, also where the clock is put back by hours meanwhile', async () => {
    const down = await receiver(() => ({ status: 503 }))
    const clock = quickClock()
    const stage = await open([{ url: down.url, secret }], { clock, attempts: 1, restAfter: 1, restMs: 60_000 })
    clock.at += 5 * 3_600_000
    for (const n of [1, 2]) await stage.hand(topics.predictions, aPrediction(n))
    expect(down.received, 'it rests').toHaveLength(1)
    clock.at -= 5 * 3_600_000
    await stage.hand(topics.predictions, aPrediction(3))
    expect(down.received).toHaveLength(2)
    await stage.hand(topics.predictions, aPrediction(4))
    expect(down.received, 'and rests again').toHaveLength(2)
  })

  it('shows how often it was asked, and why in vain, while that goes on', async () => {
    const { url } = await receiver(() => ({ status: 503 }))
    const stop = new AbortController()
    const clock: Clock = {
      now: () => 1000,
      sleep: (_, signal) =>
        new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(signal.reason))),
    }
    const stage = await open([{ url, secret }], { clock })
    const handed = stage.hand(topics.predictions, aPrediction(1), { signal: stop.signal })
    await until('one attempt is kept', async () => (await deliveries())[0]?.attempts === 1)
    expect(await deliveries()).toMatchObject([{ state: 'claimed', message: 'the receiver answered 503' }])
    stop.abort(new Error('stopped'))
    await expect(handed).rejects.toThrow('stopped')
  })
})
