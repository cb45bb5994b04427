import { request } from 'node:http'
import { describe, expect, it, vi } from 'vitest'
import { RaylogError } from '../schemas/errors.ts'
import { topics } from '../schemas/topics.ts'
import { joined, startsGateways, token, tryJoin } from '../tests/gateway/kit.ts'
import { anInstance, aParked, aPrediction, aReport, began } from '../tests/gateway/samples.ts'
import { happens, until, watch } from '../tests/gateway/watch.ts'
import type { Pulse } from './live/messages.ts'

const start = startsGateways()

describe('a socket', () => {
  it('without the token, or with a wrong one, is refused', async () => {
    const gateway = await start()
    for (const auth of [{}, { token: 'guess' }, { token: 1 }]) {
      const socket = gateway.connect({ auth, reconnection: false })
      expect(await happens(socket, 'connect_error')).toMatchObject({ message: 'unauthorized' })
    }
  })

  it('with the cookie of our page is let in', async () => {
    const gateway = await start()
    const answer = await fetch(`${gateway.url}/?token=${token}`, {
      headers: { accept: 'text/html' },
      redirect: 'manual',
    })
    const cookie = answer.headers.get('set-cookie')?.split(';', 1)[0] ?? ''
    const socket = gateway.connect({ auth: {}, extraHeaders: { cookie, origin: gateway.url } })
    await happens(socket, 'connect')
    const foreign = gateway.connect({
      auth: {},
      extraHeaders: { cookie, origin: 'http://evil.example' },
      reconnection: false,
    })
    await happens(foreign, 'connect_error')
    expect(foreign.connected).toBe(false)
  })

  it('by another Host name or from another origin gets no handshake', async () => {
    const { url } = await start()
    const { port } = new URL(url)
    const status = (headers: Record<string, string>) =>
      new Promise<number | undefined>((resolve, reject) => {
        const options = { host: '127.0.0.1', port, path: '/live/?EIO=4&transport=polling', headers, agent: false }
        request(options, answer => resolve(answer.resume().statusCode))
          .on('error', reject)
          .end()
      })
    expect(await status({})).toBe(200)
    expect(await status({ host: 'evil.example' })).toBe(403)
    expect(await status({ 'sec-fetch-site': 'cross-site' })).toBe(403)
    expect(await status({ origin: 'http://127.0.0.1:1' })).toBe(403)
  })

  it('may use polling where websockets are blocked', async () => {
    const gateway = await start()
    const socket = gateway.connect({ transports: ['polling'] })
    const { seen } = watch(socket)
    await happens(socket, 'connect')
    await joined(socket, { rooms: ['all'] })
    await gateway.publish(topics.instances, anInstance(1))
    await until(() => seen.length === 1)
  })
})

describe('rooms', () => {
  it('get what belongs to them, once however many of them match', async () => {
    const gateway = await start()
    const views = {
      all: ['all'],
      mine: ['study:st_0001', 'site:main'],
      model: ['model:chest'],
      none: ['study:st_0009'],
    }
    const watches = Object.fromEntries(
      Object.entries(views).map(([name, rooms]) => [name, watch(gateway.connect(), rooms)]),
    )
    await Promise.all(Object.values(watches).map(({ ready }) => ready))
    await gateway.publish(topics.instances, anInstance(1), anInstance(2))
    await gateway.publish(topics.predictions, aPrediction(1, { site: 'other' }))
    await gateway.publish(topics.reports, aReport(1), aReport(3))
    const counts = { all: 5, mine: 5, model: 2 }
    await until(() => Object.entries(counts).every(([name, count]) => watches[name]?.names.length === count))
    const got = Object.fromEntries(Object.entries(watches).map(([name, { names }]) => [name, names.toSorted()]))
    expect(got).toEqual({
      all: ['instance', 'instance', 'prediction', 'report', 'report'],
      mine: ['instance', 'instance', 'prediction', 'report', 'report'],
      // Instance 1 is a CT, which the model does not take.
      model: ['instance', 'prediction'],
      none: [],
    })
  })

  it('hear which models take an image', async () => {
    const gateway = await start()
    const socket = gateway.connect()
    const messages: unknown[] = []
    socket.on('instance', message => messages.push(message))
    await watch(socket).ready
    await gateway.publish(topics.instances, anInstance(1), anInstance(2))
    await until(() => messages.length === 2)
    expect(messages).toContainEqual(expect.objectContaining({ routes: { accepted: [], refused: ['chest'] } }))
    expect(messages).toContainEqual(expect.objectContaining({ routes: { accepted: ['chest'], refused: [] } }))
  })

  it('hear of parked events without the record, with what to do', async () => {
    const gateway = await start()
    const socket = gateway.connect()
    const messages: unknown[] = []
    socket.on('parked', message => messages.push(message))
    await watch(socket).ready
    const value = Buffer.from('Canary^Jane')
    await gateway.publish(topics.parked, {
      id: 'pk_1',
      stage: 'infer',
      topic: 'imaging.instances.v1',
      partition: 0,
      offset: 0,
      key: 'st_1',
      value,
      headers: {},
      subject: 'in_1',
      code: 'decode-failed',
      message: 'damaged',
      attempts: 1,
      at: began,
    })
    await until(() => messages.length === 1)
    expect(messages).toMatchObject([{ event: { id: 'pk_1', title: expect.any(String), remedy: expect.any(String) } }])
    expect(JSON.stringify(messages)).not.toMatch(/Canary|"value"/)
  })

  it('of a later join replace those of an earlier one', async () => {
    const gateway = await start()
    const socket = gateway.connect()
    const { names, ready } = watch(socket, ['study:st_0001'])
    await ready
    await joined(socket, { rooms: ['study:st_0002'] })
    const all = watch(gateway.connect())
    await all.ready
    await gateway.publish(topics.instances, anInstance(1), anInstance(2))
    await until(() => all.names.length === 2 && names.length === 1)
    await joined(socket, { rooms: ['all'] })
    await gateway.publish(topics.predictions, aPrediction(1))
    await until(() => names.includes('prediction'))
    expect(names).toEqual(['instance', 'prediction'])
  })

  it('are not joined by rubbish, which is answered, and the socket stays of use', async () => {
    const gateway = await start()
    const socket = gateway.connect()
    const rubbish = [
      {},
      { rooms: ['everything'] },
      { rooms: ['all'], after: { 'imaging.instances.v1:0': -7 } },
      { rooms: ['all'], recent: 1e6 },
      { rooms: Array.from({ length: 101 }, () => 'all') },
      'rubbish',
      undefined,
    ]
    for (const request_ of rubbish) {
      expect(await tryJoin(socket, request_)).toMatchObject({ ok: false, code: 'bad-request' })
      // Without anybody to answer to.
      Reflect.apply(socket.emit, socket, ['join', request_])
    }
    expect(await tryJoin(socket, { rooms: ['all'] })).toMatchObject({ ok: true, rooms: ['all'] })
  })
})

describe('the pulse', () => {
  it('tells rates, lag, parked, health and sockets', async () => {
    const gateway = await start({ settings: { pulseMs: 100 } })
    gateway.health.register('objects', () => Promise.reject(new Error('away')))
    const [at] = await gateway.publish(topics.instances, anInstance(1))
    await gateway.log.seek('infer', [{ topic: topics.instances.name, partition: at?.partition ?? 0, offset: 0 }])
    const socket = gateway.connect()
    const pulses: Pulse[] = []
    socket.on('pulse', pulse => pulses.push(pulse))
    await until(() => pulses.length > 0)
    await gateway.publish(topics.instances, ...Array.from({ length: 50 }, (_, n) => anInstance(n)))
    await until(() => (pulses.at(-1)?.rates.received ?? 0) > 0)
    expect(pulses.at(-1)).toMatchObject({
      lag: { infer: expect.any(Number) },
      parked: 0,
      newestParked: null,
      health: { ok: false, failing: [{ part: 'objects', code: 'internal' }] },
      sockets: 1,
    })
    expect(pulses.at(-1)?.lag.infer).toBeGreaterThan(0)
    // One is settled, another parked: the count says nothing of it.
    for (const [now, settled] of [
      [1, 0],
      [2, 1],
    ] as const) {
      await gateway.documents.upsert('parked', [aParked(now), aParked(settled, { state: 'dropped' })])
      await until(() => pulses.at(-1)?.newestParked === aParked(now).id && pulses.at(-1)?.parked === 1)
    }
  })
})

describe('the pulse of a process whose store is away', () => {
  it('goes on, with what was known last and with the reason', async () => {
    const gateway = await start({ settings: { pulseMs: 100 } })
    const failing = vi.spyOn(gateway.documents, 'count').mockRejectedValue(new RaylogError('store-unavailable', 'away'))
    const socket = gateway.connect()
    const pulses: Pulse[] = []
    socket.on('pulse', pulse => pulses.push(pulse))
    await until(() => pulses.length > 1)
    expect(pulses.at(-1)?.health).toMatchObject({ ok: false, failing: [{ code: 'store-unavailable' }] })
    failing.mockRestore()
    await until(() => pulses.at(-1)?.health.ok === true)
  })
})

describe('a stop', () => {
  it('says so, ends every socket and lets HTTP close', async () => {
    const gateway = await start()
    const socket = gateway.connect({ reconnection: false })
    await watch(socket).ready
    const bye = happens(socket, 'bye')
    const gone = happens(socket, 'disconnect')
    await gateway.http.close()
    expect(await bye).toEqual({ reason: 'stopping' })
    // Not "io server disconnect", after which a client would not come back to the next process.
    expect(await gone).toBe('transport close')
  })
})
