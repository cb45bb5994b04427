import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Clock } from '../../monitoring/clock.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { topics } from '../../schemas/topics.ts'
import { aPrediction } from '../../tests/gateway/samples.ts'
import { HandClock } from '../../tests/harness/hand-clock.ts'
import { openForTest } from '../../tests/harness/stage.ts'
import { bareHttp, openStores, type Stores } from '../../tests/harness/stores.ts'
import { until } from '../../tests/harness/until.ts'
import { sign, signingKey } from './channels/webhook.ts'
import { notify } from './stage.ts'

const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const closing: (() => Promise<unknown>)[] = []
let stores: Stores
beforeEach(async () => {
  stores = await openStores()
  closing.push(() => stores.close())
})
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function closedPort(): Promise<number> {
  const server = createTcpServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  await new Promise(resolve => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}

interface Received {
  headers: IncomingHttpHeaders
  body: string
  url: string
}

interface Answer {
  status: number
  headers?: Record<string, string>
  body?: string
}

/** A receiver that answers as told; `null` never answers. */
async function receiver(answer: (n: number) => Answer | null = () => ({ status: 204 })) {
  const received: Received[] = []
  const server: Server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    received.push({ headers: request.headers, body: Buffer.concat(chunks).toString(), url: request.url ?? '' })
    const told = answer(received.length)
    if (told) response.writeHead(told.status, told.headers).end(told.body)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('no port')
  closing.push(async () => {
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  })
  return { url: `http://127.0.0.1:${address.port}/hook?token=hidden`, received }
}

/** Of no other sleep. */
const lookMs = 59_999

/** Time that passes by itself when someone sleeps, but not between two looks, and notes for how long. */
function quickClock(): Clock & { slept: number[]; at: number } {
  const clock = {
    at: Date.UTC(2026, 0, 1),
    slept: [] as number[],
    now: () => clock.at,
    async sleep(ms: number, signal?: AbortSignal) {
      signal?.throwIfAborted()
      if (ms === lookMs)
        return new Promise<void>((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
      clock.slept.push(ms)
      clock.at += ms
    },
  }
  return clock
}

async function open(
  webhooks: object[],
  { clock = quickClock() as Clock, ...settings }: { clock?: Clock; [key: string]: unknown } = {},
) {
  const stage = await openForTest(
    notify,
    { ...stores, http: bareHttp() },
    { clock, settings: { webhooks, lookMs, ...settings } },
  )
  closing.push(() => stage.close())
  return stage
}

const deliveries = async () => (await stores.documents.find('deliveries')).items
const counted = async (outcome: string) => {
  const { values } = await stores.metrics.deliveries.get()
  return values.find(value => value.labels.outcome === outcome)?.value ?? 0
}

describe('a webhook', () => {
  it('is told of a prediction once, signed as Standard Webhooks says, and the delivery is kept', async () => {
    const { url, received } = await receiver()
    const clock = quickClock()
    const stage = await open([{ url, secret }], { clock, linkBase: 'https://raylog.example/' })
    const prediction = aPrediction(1, { patient: 'pt_someone' })
    await stage.hand(topics.predictions, prediction)
    await stage.hand(topics.predictions, prediction, { attempt: 2 })

    expect(received).toHaveLength(1)
    const { headers, body } = received[0] ?? expect.unreachable('nothing came')
    const id = headers['webhook-id']
    const timestamp = headers['webhook-timestamp']
    expect(timestamp).toBe(String(clock.at / 1000))
    const key = Buffer.from(secret.slice('whsec_'.length), 'base64')
    const expected = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')
    expect(headers['webhook-signature']).toBe(`v1,${expected}`)
    expect(headers['content-type']).toBe('application/json')
    expect(headers['raylog-redelivered']).toBeUndefined()
    expect(JSON.parse(body)).toMatchObject({
      id,
      type: 'prediction.created',
      timestamp: new Date(prediction.predictedAt).toISOString(),
      data: {
        prediction: { id: prediction.id, label: prediction.label, score: 0.25, probabilities: { normal: 0.75 } },
        links: {
          prediction: `https://raylog.example/api/v1/predictions/${prediction.id}`,
          page: `https://raylog.example/instances/${prediction.instance}`,
        },
      },
    })
    expect(body).not.toContain('pt_someone')

    const [delivery, ...more] = await deliveries()
    expect(more).toEqual([])
    expect(delivery).toMatchObject({ id, subject: prediction.id, study: prediction.study, channel: 'webhook' })
    expect(delivery).toMatchObject({ state: 'sent', attempts: 1, code: null, finishedAt: clock.at })
    expect(JSON.stringify(delivery), 'no secret of the URL is shown').not.toContain('hidden')
    expect(await counted('sent')).toBe(1)
  })

  it('agrees with the test vector of the specification', () => {
    // From the reference libraries of github.com/standard-webhooks/standard-webhooks.
    const signature = sign(signingKey(secret), 'msg_p5jXN8AQM9LWM0D4loKWxJek', '1614265330', '{"test": 2432232314}')
    expect(signature).toBe('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=')
  })

  it('gets what its settings ask for and nothing else', async () => {
    const { url, received } = await receiver()
    const wants = { labels: ['pneumonia'], models: ['chest@1.0.0'], minScore: 0.5 }
    const stage = await open([{ url, secret, ...wants, includePseudonym: true, includeProbabilities: false }])
    const fits = aPrediction(1, { label: 'pneumonia', score: 0.5, patient: 'pt_someone' })
    await stage.hand(topics.predictions, fits)
    await stage.hand(topics.predictions, { ...fits, id: 'pr_a', label: 'normal' })
    await stage.hand(topics.predictions, { ...fits, id: 'pr_b', score: 0.49 })
    await stage.hand(topics.predictions, { ...fits, id: 'pr_c', model: { ...fits.model, version: '2' } })
    for (const role of ['shadow', 'canary', 'replay'] as const)
      await stage.hand(topics.predictions, { ...fits, id: `pr_${role}`, role })
    expect(received).toHaveLength(1)
    expect(JSON.parse(received[0]?.body ?? '').data.prediction).toMatchObject({ id: fits.id, patient: 'pt_someone' })
    expect(JSON.parse(received[0]?.body ?? '').data.prediction).not.toHaveProperty('probabilities')
    expect(await deliveries()).toHaveLength(1)
  })
})

describe('a delivery that was claimed by a process that was killed', () => {
  it('is sent again under the same id, and says so', async () => {
    const silent = await receiver(() => null)
    const stop = new AbortController()
    const first = await open([{ name: 'ward', url: silent.url, secret }])
    const handed = first.hand(topics.predictions, aPrediction(1), { signal: stop.signal })
    await until('the request has arrived', () => silent.received.length === 1)
    stop.abort(new Error('killed'))
    await expect(handed).rejects.toThrow('killed')
    expect(await deliveries()).toMatchObject([{ state: 'claimed' }])

    const { url, received } = await receiver()
    const second = await open([{ name: 'ward', url, secret }])
    await second.hand(topics.predictions, aPrediction(1))
    expect(received[0]?.headers['webhook-id']).toBe(silent.received[0]?.headers['webhook-id'])
    expect(received[0]?.headers['raylog-redelivered']).toBe('true')
    expect(await deliveries()).toMatchObject([{ state: 'sent' }])
    expect([await counted('redelivered'), await counted('sent')]).toEqual([1, 1])
    await second.hand(topics.predictions, aPrediction(1))
    expect(received).toHaveLength(1)
  })

  it('is not sent twice because the document store was away when it had been sent', async () => {
    const { url, received } = await receiver()
    let away = 2
    const upsert: Stores['documents']['upsert'] = (...what) =>
      away-- > 0 ? Promise.reject(new RaylogError('store-full', 'no space')) : stores.documents.upsert(...what)
    const clock = quickClock()
    const stage = await openForTest(
      notify,
      { ...stores, http: bareHttp(), documents: { ...stores.documents, upsert } },
      { clock, settings: { webhooks: [{ url, secret }], lookMs } },
    )
    await stage.hand(topics.predictions, aPrediction(1))
    expect(received).toHaveLength(1)
    expect(clock.slept).toHaveLength(2)
    expect(await deliveries()).toMatchObject([{ state: 'sent' }])
    await stage.close()
  })
})

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
        { name: 'none', url: `http://127.0.0.1:${await closedPort()}/?token=hidden`, secret },
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

it('a log that is away is no refusal: what goes over it is tried again', async () => {
  const clock = new HandClock()
  let away = 3
  const said: unknown[] = []
  const settings = {
    channels: [{ name: 'page', kind: 'live' }],
    people: [{ name: 'wall', reach: [{ channel: 'page' }] }],
    rules: [{ name: 'all', on: 'prediction', to: ['wall'] }],
    ...{ deadlineMs: 3_600_000, leaseMs: 600_000 },
  }
  const stage = await openForTest(
    notify,
    { ...stores, http: bareHttp() },
    {
      ...{ clock, settings },
      async publish(_, ...events) {
        if (away-- > 0) throw new RaylogError('log-unavailable', 'no broker')
        said.push(...events)
        return []
      },
    },
  )
  closing.push(() => stage.close())
  const handed = stage.hand(topics.predictions, aPrediction(1, { predictedAt: clock.now() }))
  const delivery = await until('it is over', async () => {
    clock.move(500)
    return (await deliveries()).find(({ state }) => state !== 'claimed')
  })
  await handed
  expect(delivery).toMatchObject({ state: 'sent', attempts: 4, channel: 'live' })
  expect(said).toMatchObject([{ what: 'alert', who: 'wall' }, { what: 'sent' }])
})

it('nobody is told by default', async () => {
  const stage = await open([])
  await stage.hand(topics.predictions, aPrediction(1))
  expect(await deliveries()).toEqual([])
})
