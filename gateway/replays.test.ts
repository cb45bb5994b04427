import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { goneFrom, noCounts, type ReplayRunDoc } from '../schemas/replay.ts'
import { topics } from '../schemas/topics.ts'
import { joined, type Started, startGateway } from '../tests/gateway/kit.ts'
import { anInstance, aPrediction, began } from '../tests/gateway/samples.ts'
import { until } from '../tests/harness/until.ts'
import { goneShape } from './api/replays-gone.ts'

let started: Started
beforeAll(async () => {
  started = await startGateway()
})
afterAll(async () => {
  await started[Symbol.asyncDispose]()
})

const json = { 'content-type': 'application/json' }
const post = (path: string, body?: object) =>
  started.ask(`/api/v1/${path}`, { method: 'POST', ...(body && { body: JSON.stringify(body), headers: json }) })
/** What the tests look at of the answers. */
const answer = z.looseObject({
  id: z.string().default(''),
  state: z.string().default(''),
  items: z.array(z.looseObject({ id: z.string() })).default([]),
  totals: z.looseObject({ predictions: z.int() }).default({ predictions: -1 }),
})
const gonePage = z.object({
  items: z.array(z.strictObject({ ...goneShape.shape })),
  next: z.string().nullable(),
})
const read = async (response: Response) => answer.parse(await response.json())
const get = async (path: string) => read(await started.ask(`/api/v1/${path}`))
const asked = { model: 'chest@1.0.0', from: '2026-01-01T00:00:00Z', to: began + 1_000 }

const inReplay = (n: number) =>
  aPrediction(n, { id: `pr_replay_${n}`, role: 'replay', replay: 'rr_1', label: 'pneumonia' })

describe('what a replay says', () => {
  it('is listed where it is asked for, by its role or its replay, and nowhere else', async () => {
    await started.documents.upsert('predictions', [aPrediction(1)])
    await started.documents.upsert('replayed', [inReplay(1), { ...inReplay(2), replay: 'rr_2' }])
    const listed = async (query: string) => (await get(`predictions${query}`)).items.map(({ id }) => id).sort()
    expect(await listed('')).toEqual(['pr_0001'])
    expect(await listed('?instance=in_0001')).toEqual(['pr_0001'])
    expect(await listed('?role=replay')).toEqual(['pr_replay_1', 'pr_replay_2'])
    expect(await listed('?replay=rr_2')).toEqual(['pr_replay_2'])
    expect(await listed('?role=replay&label=normal')).toEqual([])
    expect(await get('predictions/pr_replay_1')).toMatchObject({ role: 'replay', replay: 'rr_1' })
    expect((await get('stats')).totals.predictions).toBe(1)
  })

  it('is heard in its own room, and not in those of results', async () => {
    const heard: Record<string, string[]> = { results: [], replay: [] }
    for (const [name, rooms] of Object.entries({
      results: ['all', 'study:st_0001', 'site:main', 'model:chest'],
      replay: ['replay:rr_1'],
    })) {
      const socket = started.connect()
      socket.on('prediction', ({ event }) => heard[name]?.push(event.id))
      await joined(socket, { rooms })
    }
    await started.publish(topics.predictions, inReplay(1), aPrediction(1))
    await until('both came', () => heard.results?.length && heard.replay?.length)
    expect(heard).toEqual({ results: ['pr_0001'], replay: ['pr_replay_1'] })
  })
})

describe('asking for a replay', () => {
  it('is refused with the reason where it cannot be', async () => {
    for (const [changes, status, words] of [
      [{ model: 'chest@9' }, 404, 'chest@9 is not loaded'],
      [{ model: 'chest' }, 400, 'name@version'],
      [{ from: began + 2_000 }, 400, 'from must be before to'],
      [{ from: '2026-01-01 around noon' }, 400, 'from'],
      [{ ratePerSecond: 0 }, 400, 'ratePerSecond'],
      [{ rate: 3 }, 400, 'rate'],
    ] as const) {
      const refused = await post('replays', { ...asked, ...changes })
      expect([refused.status, await refused.text()]).toEqual([status, expect.stringContaining(words)])
    }
    expect((await get('replays')).items).toEqual([])
    for (const path of ['replays/rr_none', 'replays/rr_none/comparison', 'replays/rr_none/flips'])
      expect((await started.ask(`/api/v1/${path}`)).status).toBe(404)
  })

  it('says truly what it is: waiting, paused, running, pausing, ended', async () => {
    const { id, state } = await read(await post('replays', asked))
    expect(state).toBe('waiting')
    const states = async (action: string) => (await read(await post(`replays/${id}/${action}`))).state
    expect(await states('pause')).toBe('paused')
    expect(await states('resume')).toBe('waiting')
    const run: ReplayRunDoc = {
      ...{ id: `${id}:1`, replay: id, epoch: 1, owner: 'somebody', beat: 1, state: 'running' },
      ...{ next: [], counts: noCounts, codes: {}, activeMs: 5, givesWayTo: null, error: null },
      ...{ startedAt: began, updatedAt: began },
    }
    await started.documents.insert('replayRuns', run)
    expect((await get(`replays/${id}`)).state).toBe('running')
    expect(await states('pause')).toBe('pausing')
    expect(await states('cancel')).toBe('cancelling')
    expect((await post(`replays/${id}/resume`)).status).toBe(400)
    await started.documents.upsert('replayRuns', [{ ...run, id: `${id}:2`, epoch: 2, state: 'cancelled', owner: null }])
    expect(await get(`replays/${id}`)).toMatchObject({ state: 'cancelled', term: 2, remainingMs: 0 })
  })

  it('shows how many images came when', async () => {
    await started.documents.upsert(
      'instances',
      [0, 1, 2, 3].map(n => anInstance(n, { receivedAt: began + n * 100 })),
    )
    const path = `replays/arrivals?from=${began}&to=${began + 400}&buckets=4`
    expect(await get(path)).toMatchObject({ counts: [1, 1, 1, 1], bucketMs: 100, total: 4 })
    expect(await get(`${path}&modality=CT`)).toMatchObject({ counts: [0, 1, 0, 1] })
    expect(await get(`${path}&modality=CT&modality=DX`)).toMatchObject({ counts: [1, 1, 1, 1] })
    expect(await get(`${path}&study=st_0001&study=st_0002&site=main&site=other`)).toMatchObject({
      counts: [0, 1, 1, 0],
    })
    expect(await get(`${path}&study=st_0001&modality=DX`)).toMatchObject({ counts: [0, 0, 0, 0] })
    expect(await get('replays/arrivals')).toMatchObject({ from: began, total: 4 })
  })

  it('names in a plan the first that are gone by arrival, and lists those that it met page by page', async () => {
    const many = Array.from({ length: 60 }, (_, n) => anInstance(100 + 2 * n, { receivedAt: began + 5_000 - n }))
    await started.publish(topics.instances, ...many)
    const plan = await post('replays/plan', { ...asked, to: '2100-01-01' })
    const { objects } = z
      .object({ objects: z.object({ gone: z.int(), first: z.array(z.object({ instance: z.string() })) }) })
      .parse(await plan.json())
    expect(objects.gone).toBe(60)
    const oldest = many.map(({ id }) => id).toReversed()
    expect(objects.first.map(({ instance }) => instance)).toEqual(oldest.slice(0, 50))

    const { id } = await read(await post('replays', asked))
    await started.documents.upsert(
      'replayGone',
      many.map(one => ({ id: `rg_${one.id}`, replay: id, ...goneFrom(one) })),
    )
    await started.documents.upsert('replayGone', [{ id: 'rg_other', replay: 'rr_other', ...goneFrom(anInstance(2)) }])
    const listed: string[] = []
    for (let next: string | null = ''; next !== null; ) {
      const response = await started.ask(`/api/v1/replays/${id}/gone?limit=25${next && `&cursor=${next}`}`)
      const page = gonePage.parse(await response.json())
      listed.push(...page.items.map(({ instance }) => instance))
      next = page.next
    }
    expect(listed).toEqual(oldest)
    expect((await started.ask('/api/v1/replays/rr_none/gone')).status).toBe(404)
  })

  it('has an empty comparison before anything was said', async () => {
    const { id } = await read(await post('replays', asked))
    expect(await get(`replays/${id}/comparison`)).toMatchObject({
      ...{ complete: false, pairs: 0, unpaired: 0, agreement: null, shift: null, truth: null, matrix: [] },
    })
    expect(await get(`replays/${id}/flips`)).toMatchObject({ items: [], next: null })
  })

  it('has a complete comparison once all that was said is read, also where an image was sent twice', async () => {
    const { id } = await read(await post('replays', asked))
    const run: ReplayRunDoc = {
      ...{ id: `${id}:1`, replay: id, epoch: 1, owner: null, beat: 1, state: 'done' },
      ...{ next: [], counts: { ...noCounts, read: 3, predicted: 3 }, codes: {}, activeMs: 5 },
      ...{ givesWayTo: null, error: null, startedAt: began, updatedAt: began },
    }
    await started.documents.insert('replayRuns', run)
    const said = [1, 2].map(n => ({ ...inReplay(n), id: `pr_twice_${n}`, replay: id }))
    const [twice, once] = said
    if (!twice || !once) throw new Error('there are two')
    await started.publish(topics.predictions, twice, once, twice)
    await started.documents.upsert('replayed', said)
    const isComplete = async () => (await get(`replays/${id}/comparison`)).complete
    const topic = topics.predictions.name
    const bounds = (await started.log.topics()).find(({ name }) => name === topic)?.bounds ?? []
    const readTo = (back: number) =>
      started.log.seek(
        'persist',
        bounds.map(({ partition, low, high }) => ({ topic, partition, offset: Math.max(low, high - back) })),
      )
    await readTo(1)
    expect(await isComplete()).toBe(false)
    await readTo(0)
    // What comes later does not matter.
    await started.publish(topics.predictions, aPrediction(3))
    await expect.poll(isComplete).toBe(true)
  })
})
