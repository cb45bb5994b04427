import { request } from 'node:http'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { RaylogError } from '../schemas/errors.ts'
import { topics } from '../schemas/topics.ts'
import {
  type Client,
  joined,
  type Started,
  type StartOptions,
  startGateway,
  token,
  tryJoin,
} from '../tests/gateway/kit.ts'
import { anInstance, aPrediction, aReport, began } from '../tests/gateway/samples.ts'
import type { At, Pulse } from './live/messages.ts'

const open: Started[] = []
afterEach(async () => {
  for (const gateway of open.splice(0)) await gateway[Symbol.asyncDispose]()
})

async function start(options?: StartOptions): Promise<Started> {
  const gateway = await startGateway(options)
  open.push(gateway)
  return gateway
}

const until = (condition: () => boolean) =>
  vi.waitFor(() => expect(condition()).toBe(true), { timeout: 20_000, interval: 5 })
const happens = (socket: Client, name: 'connect' | 'connect_error' | 'disconnect' | 'bye') =>
  new Promise<unknown>(resolve => socket.once(name, resolve))

/** A dashboard as the page is one: keeps the highest offset of each partition and joins from there at each connect. */
function watch(socket: Client, rooms: string[] = ['all']) {
  const seen: At[] = []
  const names: string[] = []
  const at: Record<string, number> = {}
  const truncated: boolean[] = []
  const take = (name: string) => (message: { at: At }) => {
    seen.push(message.at)
    names.push(name)
    at[`${message.at.topic}:${message.at.partition}`] = message.at.offset
  }
  socket.on('instance', take('instance')).on('prediction', take('prediction')).on('report', take('report'))
  const first = Promise.withResolvers<void>()
  let joins = 0
  let breaks = 0
  socket.on('disconnect', () => breaks++)
  socket.on('connect', () => {
    socket.emit('join', { rooms, after: { ...at } }, told => {
      if (!told.ok) return first.reject(new Error(told.detail))
      for (const [partition, offset] of Object.entries(told.at)) at[partition] = Math.max(at[partition] ?? -1, offset)
      joins++
      truncated.push(told.truncated)
      first.resolve()
    })
  })
  return { seen, names, at, truncated, ready: first.promise, joins: () => joins, breaks: () => breaks }
}

/** The websocket under a client, which socket.io does not show. */
const wire = (socket: Client) => Reflect.get(Object(socket.io.engine?.transport), 'ws')
const cut = (socket: Client) => wire(socket).terminate()

const byPartition = (seen: readonly At[]) =>
  Object.fromEntries(
    [...Map.groupBy(seen, ({ topic, partition }) => `${topic}:${partition}`)].map(([key, all]) => [
      key,
      all.map(({ offset }) => offset),
    ]),
  )

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
    await until(() => watches.all?.names.length === 5)
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

describe('after a break', () => {
  it('what was missed comes first, then what is new: no gap, no duplicate, in order', async () => {
    const gateway = await start()
    const clients = Array.from({ length: 4 }, () => {
      const socket = gateway.connect()
      return { socket, ...watch(socket) }
    })
    await Promise.all(clients.map(({ ready }) => ready))
    let sent = 0
    const rounds = 60
    for (let round = 0; round < rounds; round++) {
      // Batches of changing size, over all partitions and two topics, while clients break off at any moment.
      const size = 1 + ((round * 7) % 23)
      const appending = [
        gateway.publish(topics.instances, ...Array.from({ length: size }, (_, n) => anInstance(round * 100 + n))),
        gateway.publish(topics.predictions, ...Array.from({ length: size }, (_, n) => aPrediction(round * 100 + n))),
      ]
      sent += 2 * size
      const client = clients[round % clients.length]
      // As a cable that is pulled: the other end hears nothing. Often while a replay is under way.
      if (client) cut(client.socket)
      await Promise.all(appending)
      // Connected again, though perhaps not joined yet.
      if (round % 4 === 3)
        await until(() => clients.every(({ socket, breaks }) => socket.connected && breaks() === (round + 1) / 4))
    }
    await until(() => clients.every(({ seen }) => seen.length >= sent))
    const highs = Object.fromEntries(
      (await gateway.log.topics()).flatMap(({ name, bounds }) =>
        bounds.map(({ partition, high }) => [`${name}:${partition}`, high]),
      ),
    )
    for (const { seen, truncated } of clients) {
      expect(truncated).not.toContain(true)
      for (const [partition, offsets] of Object.entries(byPartition(seen)))
        expect([partition, offsets]).toEqual([partition, Array.from({ length: highs[partition] ?? 0 }, (_, n) => n)])
      expect(seen).toHaveLength(sent)
    }
  })

  it('a replay that is ahead of the tail gives nothing twice when the tail comes', async () => {
    const gateway = await start()
    const there = watch(gateway.connect())
    await there.ready
    gateway.gate.hold()
    await gateway.publish(topics.instances, ...Array.from({ length: 10 }, (_, n) => anInstance(n)))
    await until(() => gateway.gate.waiting() === 10)
    const late = gateway.connect()
    const back = watch(late)
    await back.ready
    expect(await joined(late, { rooms: ['all'], recent: 100 })).toMatchObject({ replayed: 10 })
    // Joined once more in between, to rooms that match as well.
    await joined(late, { rooms: ['all', 'site:main'] })
    await gateway.publish(topics.predictions, aPrediction(1))
    gateway.gate.release()
    await gateway.publish(topics.instances, ...Array.from({ length: 10 }, (_, n) => anInstance(n)))
    await until(() => there.seen.length === 21 && back.seen.length >= 21)
    for (const { seen } of [there, back]) {
      expect(seen).toHaveLength(21)
      for (const offsets of Object.values(byPartition(seen))) expect(offsets).toEqual(offsets.map((_, n) => n))
    }
  })

  it('only the newest are read again where too many were missed, and the client is told', async () => {
    const gateway = await start({ settings: { maxReplay: 50 } })
    await gateway.publish(topics.instances, ...Array.from({ length: 400 }, (_, n) => anInstance(n)))
    const socket = gateway.connect()
    const seen: At[] = []
    socket.on('instance', ({ at }) => seen.push(at))
    const after = Object.fromEntries(Array.from({ length: 6 }, (_, n) => [`imaging.instances.v1:${n}`, -1]))
    const told = await joined(socket, { rooms: ['all'], after })
    expect([told.truncated, told.replayed]).toEqual([true, seen.length])
    expect(seen.length).toBeGreaterThan(40)
    expect(seen.length).toBeLessThanOrEqual(50)
    for (const [partition, offsets] of Object.entries(byPartition(seen)))
      expect(offsets.at(-1)).toBe(told.at[partition])
  })

  it('positions of another log are told to be of no use', async () => {
    const gateway = await start()
    const [at] = await gateway.publish(topics.instances, anInstance(1))
    const socket = gateway.connect()
    const told = await joined(socket, { rooms: ['all'], after: { [`imaging.instances.v1:${at?.partition}`]: 5_000 } })
    expect([told.truncated, told.replayed, told.at[`imaging.instances.v1:${at?.partition}`]]).toEqual([true, 1, 0])
  })

  it('a page that is new may ask for the last few', async () => {
    const gateway = await start()
    await gateway.publish(topics.instances, ...Array.from({ length: 40 }, () => anInstance(1)))
    const socket = gateway.connect()
    const { replayed, truncated } = await joined(socket, { rooms: ['all'], recent: 10 })
    expect([replayed, truncated]).toEqual([10, false])
    const other = await joined(gateway.connect(), { rooms: ['study:st_0002'], recent: 10 })
    expect(other.replayed).toBe(0)
  })

  it('a record that cannot be decoded is left out, its neighbours are not', async () => {
    const gateway = await start()
    await gateway.publish(topics.instances, anInstance(1))
    await gateway.log.append([{ topic: topics.instances.name, key: 'st_0001', value: Buffer.from('rubbish') }])
    await gateway.publish(topics.instances, anInstance(11))
    const told = await joined(gateway.connect(), { rooms: ['all'], recent: 3 })
    expect(told.replayed).toBe(2)
  })

  it('a log that does not answer refuses the join, and the next one works', async () => {
    const gateway = await start()
    await gateway.publish(topics.instances, anInstance(1))
    const socket = gateway.connect()
    const failing = vi
      .spyOn(gateway.ports.log, 'read')
      .mockRejectedValueOnce(Object.assign(new Error('x'), { code: 'EIO' }))
    expect(await tryJoin(socket, { rooms: ['all'], recent: 5 })).toMatchObject({ ok: false, code: 'store-unavailable' })
    failing.mockRestore()
    expect(await joined(socket, { rooms: ['all'], recent: 5 })).toMatchObject({ replayed: 1 })
  })
})

describe('a slow client', () => {
  it('is sent away with the reason, holds nobody up, and has everything in the end', async () => {
    const gateway = await start({ settings: { maxQueued: 50 } })
    const slow = gateway.connect()
    const fast = gateway.connect()
    const byes: unknown[] = []
    slow.on('bye', bye => byes.push(bye))
    const slowly = watch(slow)
    const quickly = watch(fast)
    await Promise.all([slowly.ready, quickly.ready])
    const network = wire(slow)._socket
    network.pause()
    const view = 'x'.repeat(100_000)
    for (let n = 0; n < 300; n++) await gateway.publish(topics.instances, anInstance(n, { view }))
    await until(() => quickly.seen.length === 300)
    expect(slowly.seen.length).toBeLessThan(300)
    network.resume()
    await until(() => slowly.seen.length === 300)
    expect(byes).toEqual([{ reason: 'slow' }])
    expect(slowly.joins()).toBe(2)
    expect(byPartition(slowly.seen)).toEqual(byPartition(quickly.seen))
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
      health: { ok: false, failing: [{ part: 'objects', code: 'internal' }] },
      sockets: 1,
    })
    expect(pulses.at(-1)?.lag.infer).toBeGreaterThan(0)
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
