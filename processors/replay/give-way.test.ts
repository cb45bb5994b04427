/** What a replay gives way to, by a real log. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type EmbeddedLog, openEmbeddedLog } from '../../kafka/embedded/log.ts'
import type { Lag, Subscriber } from '../../kafka/log.ts'
import { topics } from '../../schemas/topics.ts'
import { until } from '../../tests/harness/until.ts'
import { GiveWay } from './give-way.ts'

let folder: string
let log: EmbeddedLog
let now: number
let came: number
let opened: GiveWay[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'raylog-give-way-'))
  log = await openEmbeddedLog({ folder, trimEveryMs: null })
  const retention = { maxAgeMs: null, maxBytes: null }
  await log.ensureTopics([instances, predictions].map(name => ({ name, partitions: 1, retention })))
  now = 0
  came = 0
  opened = []
})
afterEach(async () => {
  for (const one of opened) await one.close()
  await log.close()
  await rm(folder, { recursive: true })
})

const [instances, predictions] = [topics.instances.name, topics.predictions.name]
const settings = { giveWayTo: ['infer', 'persist'], giveWayAbove: 500, giveWayAfterMs: 1_000 }
const append = (topic: string, count = 1) =>
  log.append(Array.from({ length: count }, () => ({ topic, key: 'st', value: Buffer.of(0) })))
const commit = (stage: string, offset: number, topic: string = instances) =>
  log.seek(stage, [{ topic, partition: 0, offset }])

function open(of: Pick<EmbeddedLog, 'lag' | 'subscribe'> = log): GiveWay {
  const one = new GiveWay({
    ...{ log: of, settings, now: () => now },
    came: () => {
      came++
    },
  })
  opened.push(one)
  return one
}

it('holds back when a single live event has waited for too long, and no more when that is done', async () => {
  await commit('infer', 0)
  const live = open()
  expect(await live.look()).toBeNull()
  await append(instances)
  expect(await live.look(), 'it has just come').toBeNull()
  now = 999
  expect(await live.look()).toBeNull()
  now = 1_000
  expect(await live.look()).toBe('infer')
  await commit('infer', 1)
  expect(await live.look()).toBeNull()
})

it('goes on beside live work that keeps coming and is done in time, however many events a commit is late', async () => {
  await commit('infer', 0)
  const live = open()
  for (let look = 1; look <= 20; look++) {
    await append(instances, 20)
    now += 500
    expect(await live.look()).toBeNull()
    await commit('infer', 20 * look)
  }
})

it('knows how old what waits is also where others before it were done meanwhile', async () => {
  await commit('infer', 0)
  const live = open()
  await append(instances, 3)
  await live.look()
  now = 600
  await append(instances, 3)
  await live.look()
  await commit('infer', 3)
  now = 1_500
  expect(await live.look(), 'the second three wait for 900 ms').toBeNull()
  now = 1_600
  expect(await live.look()).toBe('infer')
})

it('is not held up by what the log has lost since: its end goes back, and nothing more comes', async () => {
  const infer = { topic: instances, partition: 0 }
  let lags: Lag[] = [{ ...infer, committed: 5, high: 8, lag: 3 }]
  const live = open({ lag: async stage => (stage === 'infer' ? lags : []), subscribe: log.subscribe })
  await live.look()
  lags = [{ ...infer, committed: 6, high: 6, lag: 0 }]
  now = 60_000
  expect(await live.look(), 'all is done').toBeNull()
  lags = [{ ...infer, committed: 6, high: 7, lag: 1 }]
  expect(await live.look(), 'another has just come').toBeNull()
  now = 61_000
  expect(await live.look()).toBe('infer')
})

it('is not held up by the age of what it says itself, and is by its number', async () => {
  await commit('persist', 0, predictions)
  const live = open()
  await append(predictions, 500)
  await live.look()
  now = 60_000
  expect(await live.look()).toBeNull()
  await append(predictions)
  expect(await live.look()).toBe('persist')
})

it('hears of each live image as it comes, and again after the log ended that', async () => {
  const subscribers: Subscriber[] = []
  const live = open({
    lag: log.lag,
    subscribe: (options, subscriber) => {
      subscribers.push(subscriber)
      return log.subscribe(options, subscriber)
    },
  })
  await append(instances)
  await live.look()
  await live.look()
  await append(instances)
  await until('it is heard', () => came === 1)
  expect(subscribers).toHaveLength(1)
  subscribers[0]?.failed?.(new Error('the log ended it'))
  await live.look()
  expect(subscribers).toHaveLength(2)
})

it('asks again where the log is away, and lets go of it when it is closed', async () => {
  let away = true
  const live = open({
    lag: log.lag,
    subscribe: (...asked) => (away ? Promise.reject(new Error('away')) : log.subscribe(...asked)),
  })
  await expect(live.look()).rejects.toThrow('away')
  away = false
  expect(await live.look()).toBeNull()
  await live.close()
  await append(instances)
  expect(await live.look()).toBeNull()
  expect(came).toBe(0)
})
