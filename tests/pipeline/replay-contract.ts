/** What replays do in either mode: past images through another version of a model, killed in the middle. */
import { createServer, type Server } from 'node:http'
import { io, type Socket } from 'socket.io-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Prediction } from '../../schemas/topics.ts'
import { census, isIdle, listAll } from '../harness/census.ts'
import { until } from '../harness/until.ts'
import {
  always,
  ask,
  listFlips,
  noCounts,
  type Replay,
  type ReplaySystem,
  reached,
  replayed,
  type Truth,
} from './replay-kit.ts'

const images = 60
let system: ReplaySystem
let receiver: Server
let socket: Socket
let hooks = 0
const heard: { event: string; role: string | undefined }[] = []

/** Where people ask. */
const raylog = () => system.raylog
/** Where replays run. */
const runner = () => system.runner
const begin = (more: object = {}) => ask<Replay>(raylog(), 'replays', { ...always, ...more })
const act = (id: string, action: string) => ask<Replay>(raylog(), `replays/${id}/${action}`)

/** Everything that people see of results, which a replay must not change. */
async function results() {
  const [all, studies, stats] = await Promise.all([
    census(raylog()),
    listAll<{ id: string }>(raylog(), 'studies'),
    raylog().json<{ totals: object; byModel: object }>('/api/v1/stats'),
  ])
  const details = await Promise.all(studies.map(({ id }) => raylog().json(`/api/v1/studies/${id}`)))
  const whole = await Promise.all(all.instances.map(({ id }) => raylog().json(`/api/v1/instances/${id}`)))
  return { all, details, whole, totals: stats.totals, byModel: stats.byModel }
}

export function replayContract(start: (settings: readonly string[]) => Promise<ReplaySystem>): void {
  beforeAll(async () => {
    receiver = createServer((_request, response) => {
      hooks += 1
      response.end()
    })
    await new Promise<void>(done => receiver.listen(0, '127.0.0.1', done))
    const address = receiver.address()
    const port = typeof address === 'object' && address ? address.port : 0
    system = await start([`notify.webhooks=[{url: "http://127.0.0.1:${port}/", secret: "a-secret-of-the-test"}]`])
    socket = io(raylog().url, { path: '/live', auth: { token: raylog().token }, transports: ['websocket'] })
    socket.onAny((event: string, message: { event?: Partial<Prediction> }) =>
      heard.push({ event, role: message.event?.role }),
    )
    const { promise: joined, resolve: join } = Promise.withResolvers<void>()
    socket.on('connect', () => void socket.emit('join', { rooms: ['all'] }, () => join()))
    await joined
    await system.send(Array.from({ length: images }, (_, n) => n + 1))
  }, 900_000)

  afterAll(async () => {
    socket?.close()
    receiver?.close()
    await system?.[Symbol.asyncDispose]()
  })

  describe('a model on standby', () => {
    it('is loaded and says nothing of what comes in', async () => {
      const { items } = await raylog().json<{ items: { ref: { version: string }; standby?: true; state: string }[] }>(
        '/api/v1/models',
      )
      expect(items.map(({ ref, standby, state }) => [ref.version, standby, state])).toEqual([
        ['1', undefined, 'ready'],
        ['2', true, 'ready'],
      ])
      const { predictions } = await census(raylog())
      expect(predictions).toHaveLength(images)
    })
  })

  describe('a dry run', () => {
    it('says how many images, how long, and what it would be compared with, and changes nothing', async () => {
      const before = [await results(), await raylog().json('/api/v1/log/topics')]
      const plan = await ask<Record<string, unknown>>(raylog(), 'replays/plan', { ...always, ratePerSecond: 0.5 })
      expect(plan).toMatchObject({
        ...{ events: images, looked: images, complete: true, matched: images, accepted: images, unreadable: 0 },
        ...{
          refused: {},
          objects: { checked: images, gone: 0, first: [] },
          perSecond: 0.5,
          durationMs: images * 2_000,
        },
        productionVersions: { 1: images },
      })
      expect([await results(), await raylog().json('/api/v1/log/topics')]).toEqual(before)
      expect(await listAll(raylog(), 'replays')).toEqual([])
    })

    it('says why images are not of it', async () => {
      const none = await ask<{ matched: number }>(raylog(), 'replays/plan', { ...always, modalities: ['CT'] })
      expect(none.matched).toBe(0)
      const refused = await raylog().post('/api/v1/replays/plan', JSON.stringify({ ...always, model: 'pneumonia@3' }), {
        'content-type': 'application/json',
      })
      expect(refused.status).toBe(404)
    })
  })

  describe('a replay that is killed in the middle', { timeout: 300_000 }, () => {
    let before: Awaited<ReturnType<typeof results>>
    let id: string
    let done: Replay

    it('goes on where it was, and counts each image exactly once', async () => {
      before = await results()
      const hooksBefore = hooks
      id = (await begin({ ratePerSecond: 6 })).id
      for (const at of [12, 30]) {
        await until(`${at} are predicted`, async () => {
          const now = await raylog().json<Replay>(`/api/v1/replays/${id}`)
          return now.counts.predicted >= at
        })
        await runner().kill()
        await runner().restart()
      }
      done = await reached(raylog(), id, 'done')
      expect(done.counts).toEqual({ ...noCounts, read: images, predicted: images })
      // Two kills; a holder that is too slow to save lets go by itself as well.
      expect(done.term).toBeGreaterThanOrEqual(3)
      const said = await replayed(raylog(), id)
      expect(new Set(said.map(one => one.id)).size).toBe(images)
      expect(new Set(said.map(one => one.instance))).toEqual(new Set(before.all.instances.map(one => one.id)))
      expect(new Set(said.map(one => `${one.model.version} ${one.role} ${one.replay}`))).toEqual(
        new Set([`2 replay ${id}`]),
      )
      await until('every stage is idle', () => isIdle(raylog()))
      expect(hooks).toBe(hooksBefore)
    })

    it('changes no result, report, study or count that people see, and is not pushed to them', async () => {
      expect(await results()).toEqual(before)
      expect(heard.some(({ event }) => event === 'prediction')).toBe(true)
      expect(heard.filter(({ role }) => role === 'replay')).toEqual([])
    })

    it('ends in a comparison that is what one counts by hand', async () => {
      const production = new Map(
        (await listAll<Prediction>(raylog(), 'predictions')).map(one => [one.instance, one] as const),
      )
      const said = await replayed(raylog(), id)
      const flipped = said.filter(one => one.label !== production.get(one.instance)?.label)
      const to = (label: string) => flipped.filter(one => one.label === label).map(one => one.instance)
      const [up, down] = [to('Pneumonia'), to('Normal')]
      expect(Math.min(up.length, down.length)).toBeGreaterThan(0)
      const comparison = await raylog().json<Record<string, unknown>>(`/api/v1/replays/${id}/comparison`)
      expect(comparison).toMatchObject({
        ...{ complete: true, pairs: images, unpaired: 0, versions: { 1: images }, positive: 'Pneumonia' },
        agreement: { value: (images - flipped.length) / images, n: images },
        flips: { toPositive: up.length, toNegative: down.length, other: 0, kept: flipped.length },
        truth: null,
      })
      const shifts = said.map(one => one.score - (production.get(one.instance)?.score ?? Number.NaN))
      const mean = shifts.reduce((sum, shift) => sum + shift, 0) / images
      expect((comparison.shift as { value: number }).value).toBeCloseTo(mean, 10)
      const images1 = await listFlips(raylog(), id, 'to-positive')
      expect(images1.toSorted()).toEqual(up.toSorted())
      expect((await listFlips(raylog(), id, 'to-negative')).toSorted()).toEqual(down.toSorted())
      const csv = await (await raylog().get(`/api/v1/replays/${id}/comparison.csv`)).text()
      const lines = csv.trimEnd().split('\r\n')
      expect(lines).toHaveLength(images + 1)
      expect(lines.filter(line => line.includes(',to-positive,'))).toHaveLength(up.length)
    })

    it('is judged against what people say', async () => {
      const predictions = await listAll<Prediction>(raylog(), 'predictions')
      const judged = predictions.slice(0, 20)
      for (const [at, { id: prediction, label }] of judged.entries()) {
        const wrong = label === 'Normal' ? 'Pneumonia' : 'Normal'
        const body = at % 4 === 0 ? { verdict: 'corrected', label: wrong } : { verdict: 'agreed' }
        await ask(raylog(), `predictions/${prediction}/feedback`, body)
      }
      // Asked again: the last word counts.
      await ask(raylog(), `predictions/${judged[0]?.id}/feedback`, { verdict: 'unsure' })
      const unknown = { verdict: 'corrected', label: 'Pneumona' }
      await expect(ask(raylog(), `predictions/${judged[0]?.id}/feedback`, unknown)).rejects.toThrow(/400/)
      const truth = await until('feedback is in the comparison', async () => {
        const { truth } = await raylog().json<{ truth: Truth | null }>(`/api/v1/replays/${id}/comparison`)
        return truth?.labelled === 19 ? truth : undefined
      })
      expect(truth.production.accuracy).toMatchObject({ value: 15 / 19, n: 19 })
      for (const who of [truth.production, truth.candidate]) expect(who.auc?.n).toBe(19)
    })

    it('cannot be changed any more', async () => {
      await expect(act(id, 'pause')).rejects.toThrow(/400.*done/)
      await expect(act(id, 'cancel')).rejects.toThrow(/400.*done/)
    })
  })

  describe('a replay', { timeout: 300_000 }, () => {
    it('rests while it is paused, over a restart too, goes on where it was, and ends where it is cancelled', async () => {
      const { id } = await begin({ ratePerSecond: 4 })
      await until('some are predicted', async () => (await reachedCounts(id)).predicted >= 5)
      await act(id, 'pause')
      const paused = await reached(raylog(), id, 'paused')
      expect(paused.counts.predicted).toBeLessThan(images)
      expect(await runner().stop()).toBe(0)
      await runner().restart()
      expect(await raylog().json(`/api/v1/replays/${id}`)).toMatchObject({ state: 'paused', counts: paused.counts })
      await act(id, 'resume')
      await until('it goes on', async () => (await reachedCounts(id)).predicted > paused.counts.predicted)
      await act(id, 'cancel')
      const cancelled = await reached(raylog(), id, 'cancelled')
      expect(cancelled.counts.predicted).toBeLessThan(images)
      expect((await act(id, 'cancel')).state).toBe('cancelled')
      await expect(act(id, 'resume')).rejects.toThrow(/cancelled/)
      await until('what it said is kept', async () => {
        const said = await replayed(raylog(), id)
        return new Set(said.map(one => one.instance)).size >= cancelled.counts.predicted
      })
    })

    it('is let go of at an orderly stop, and goes on at once', async () => {
      const { id } = await begin({ ratePerSecond: 4 })
      await until('some are predicted', async () => (await reachedCounts(id)).predicted >= 5)
      expect(await runner().stop()).toBe(0)
      await runner().restart()
      const { counts } = await reached(raylog(), id, 'done')
      expect(counts).toEqual({ ...noCounts, read: images, predicted: images })
    })

    it('runs beside others, each with its own predictions; asked for twice under one key it is one', async () => {
      const headers = { 'content-type': 'application/json', 'idempotency-key': 'asked-for-twice' }
      const twice = await Promise.all(
        [1, 2].map(async () => {
          const answer = await raylog().post('/api/v1/replays', JSON.stringify(always), headers)
          return ((await answer.json()) as Replay).id
        }),
      )
      expect(twice[0]).toBe(twice[1])
      const both = await Promise.all([begin(), begin({ model: 'pneumonia@1' })])
      for (const id of [...twice.slice(1), ...both.map(one => one.id)]) {
        const { counts } = await reached(raylog(), id, 'done')
        expect(counts.predicted).toBe(images)
      }
      const same = await raylog().json(`/api/v1/replays/${both[1]?.id}/comparison`)
      expect(same).toMatchObject({ agreement: { value: 1 }, shift: { value: 0, low: 0, high: 0 } })
    })

    it('is heard live by those who ask for it', async () => {
      const { id } = await begin({ ratePerSecond: 4 })
      const own = io(raylog().url, { path: '/live', auth: { token: raylog().token }, transports: ['websocket'] })
      const said: Prediction[] = []
      own.on('prediction', ({ event }: { event: Prediction }) => said.push(event))
      await new Promise<void>(joined => {
        own.on('connect', () => own.emit('join', { rooms: [`replay:${id}`] }, () => joined()))
      })
      await until('one came', () => said.length > 0)
      expect(new Set(said.map(one => one.replay))).toEqual(new Set([id]))
      own.close()
      await act(id, 'cancel')
      await reached(raylog(), id, 'cancelled')
    })

    it('takes only what its filters and its times name', async () => {
      const { instances } = await results().then(({ all }) => all)
      const study = (
        await raylog().json<{ instance: { study: string; receivedAt: number } }>(
          `/api/v1/instances/${instances[7]?.id}`,
        )
      ).instance
      const { id } = await begin({ studies: [study.study] })
      const done = await reached(raylog(), id, 'done')
      expect(done.counts).toEqual({ ...noCounts, read: images, outside: images - 1, predicted: 1 })
      const before = await begin({ to: study.receivedAt - 3_600_000 })
      expect((await reached(raylog(), before.id, 'done')).events).toBe(0)
    })

    it('counts images whose object was erased as gone, says so beforehand, and goes on', async () => {
      const { instances } = await census(raylog())
      const erased = instances.slice(0, 3)
      for (const { object } of erased) await system.erase(object.key)
      const named = (list: readonly NamedGone[]) => list.map(one => `${one.instance} ${one.object}`).toSorted()
      const expected = erased.map(({ id, object }) => `${id} ${object.key}`).toSorted()
      const plan = await ask<{ objects: { first: NamedGone[] } }>(raylog(), 'replays/plan', always)
      expect(plan.objects).toMatchObject({ checked: images, gone: 3 })
      expect(named(plan.objects.first)).toEqual(expected)
      const { id } = await begin()
      const { counts, error } = await reached(raylog(), id, 'done')
      expect(counts).toEqual({ ...noCounts, read: images, predicted: images - 3, gone: 3 })
      expect(error).toBeNull()
      expect(await replayed(raylog(), id)).toHaveLength(images - 3)
      expect(named(await listAll(raylog(), `replays/${id}/gone`))).toEqual(expected)
    })
  })
}

interface NamedGone {
  instance: string
  object: string
}

const reachedCounts = async (id: string) => (await raylog().json<Replay>(`/api/v1/replays/${id}`)).counts
