import { describe, expect, it, vi } from 'vitest'
import { topics } from '../schemas/topics.ts'
import { joined, startsGateways, tryJoin } from '../tests/gateway/kit.ts'
import { anInstance, aPrediction } from '../tests/gateway/samples.ts'
import { byPartition, cut, until, watch, wire } from '../tests/gateway/watch.ts'
import type { At } from './live/messages.ts'

const start = startsGateways()

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
    const pausedAt = performance.now()
    const view = 'x'.repeat(100_000)
    for (let n = 0; n < 300; n++) await gateway.publish(topics.instances, anInstance(n, { view }))
    await until(() => quickly.seen.length === 300)
    expect(slowly.seen.length).toBeLessThan(300)
    const inGrace = performance.now() - pausedAt < 4_000
    network.resume()
    await until(() => slowly.seen.length === 300)
    // Once, or more often where this process is slow itself; each time it comes back.
    expect(slowly.breaks()).toBeGreaterThan(0)
    expect(slowly.joins()).toBe(1 + slowly.breaks())
    // Whoever reads nothing for five seconds more is cut off without it.
    if (inGrace) expect(byes.length).toBeGreaterThan(0)
    expect(byes).toEqual(byes.map(() => ({ reason: 'slow' })))
    expect(byPartition(slowly.seen)).toEqual(byPartition(quickly.seen))
  })
})
