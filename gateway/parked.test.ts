import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { persist } from '../consumers/persist/stage.ts'
import { compile } from '../kafka/compile.ts'
import { type Running, run } from '../kafka/runner.ts'
import { defineStage } from '../kafka/stage.ts'
import { RaylogError } from '../schemas/errors.ts'
import { topics } from '../schemas/topics.ts'
import { type Started, startGateway } from '../tests/gateway/kit.ts'
import { anInstance, aParked } from '../tests/gateway/samples.ts'

let gateway: Started
let running: Running | undefined
beforeEach(async () => {
  gateway = await startGateway()
})
afterEach(async () => {
  await running?.stop()
  running = undefined
  await gateway[Symbol.asyncDispose]()
})

const until = (condition: () => Promise<boolean> | boolean) =>
  vi.waitFor(async () => expect(await condition()).toBe(true), { timeout: 20_000, interval: 10 })
const post = async (path: string, body?: unknown) => {
  const init = body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
  const answer = await gateway.ask(`/api/v1/${path}`, { method: 'POST', ...init })
  return { status: answer.status, body: await answer.json() }
}

/** A stage that reads images; parks what `fails` says. */
function reader(name: string, fails: (id: string) => boolean, done: string[]) {
  return defineStage({
    name,
    role: 'processor',
    summary: 'a stage of the tests',
    reads: [topics.instances],
    writes: [],
    needs: [],
    config: z.strictObject({}),
    async open() {
      return {
        handle({ event }) {
          if (fails(event.id)) throw new RaylogError('decode-failed', 'the pixels end early')
          done.push(event.id)
        },
      }
    },
  })
}

describe('a parked event', () => {
  it('that is retried is handled by the stage which parked it, by no other, and once for two clicks', async () => {
    let broken = true
    const fixed: string[] = []
    const steady: string[] = []
    const stages = [
      reader('fragile', id => broken && id === 'in_0002', fixed),
      reader('steady', () => false, steady),
      persist,
    ]
    running = await run(compile(stages, {}), gateway.ports, gateway.platform)
    await gateway.publish(topics.instances, anInstance(1), anInstance(2), anInstance(3))
    await until(async () => (await gateway.documents.count('parked', { state: 'parked' })) === 1)
    await until(() => fixed.length === 2 && steady.length === 3)
    broken = false
    const { items } = await gateway.documents.find('parked')
    const id = items[0]?.id ?? ''
    const answers = await Promise.all([post(`parked/${id}/retry`), post(`parked/${id}/retry`)])
    const bodies = answers.map(({ body }) => body)
    expect(bodies).toHaveLength(2)
    for (const changed of [true, false]) expect(bodies).toContainEqual({ id, state: 'retried', changed })
    await until(() => fixed.length === 3)
    // What comes after it in every partition has been handled, so the retried record has been too.
    await gateway.publish(topics.instances, ...Array.from({ length: 20 }, (_, n) => anInstance(100 + n)))
    await until(() => steady.length === 23 && fixed.length === 23)
    expect(steady.filter(each => each === 'in_0002')).toHaveLength(1)
    expect(fixed.filter(each => each === 'in_0002')).toHaveLength(1)
    expect(await gateway.documents.get('parked', id)).toMatchObject({ state: 'retried' })
  })

  it('that fails again is parked anew', async () => {
    const stages = [reader('fragile', () => true, []), persist]
    running = await run(compile(stages, {}), gateway.ports, gateway.platform)
    await gateway.publish(topics.instances, anInstance(1))
    await until(async () => (await gateway.documents.count('parked')) === 1)
    expect(await post('parked/retry', { code: 'decode-failed' })).toMatchObject({ body: { retried: 1, remaining: 0 } })
    await until(async () => (await gateway.documents.count('parked', { state: 'parked' })) === 1)
    expect(await gateway.documents.countBy('parked', 'state')).toEqual({ parked: 1, retried: 1 })
  })

  it('goes back as it was, with its headers', async () => {
    await gateway.documents.upsert('parked', [aParked(1)])
    const before = await gateway.log.topics()
    await post('parked/pk_0001/retry')
    const after = await gateway.log.topics()
    const name = 'imaging.instances.v1'
    const bounds = (list: typeof after) => list.find(topic => topic.name === name)?.bounds ?? []
    const grown = bounds(after).find(({ partition, high }) => bounds(before)[partition]?.high !== high)
    const [record] = await gateway.log.read({ topic: name, partition: grown?.partition ?? 0, offset: 0 }, 1)
    expect(record).toMatchObject({
      key: 'st_0001',
      value: Buffer.from('record 1'),
      headers: { 'raylog-trace': '1', 'raylog-only': 'infer' },
    })
  })

  it('without its bytes, which were too many, is read where it stands on the log; where that is gone, it stays parked', async () => {
    const name = 'imaging.instances.v1'
    const headers = { 'raylog-trace': '1' }
    const [at] = await gateway.log.append([{ topic: name, key: 'st_0001', value: Buffer.from('large'), headers }])
    const [other] = await gateway.log.append([
      { topic: name, key: 'st_0001', value: Buffer.from('another'), headers: {} },
    ])
    const bare = (n: number, over: object) => aParked(n, { value: '', key: 'st_0001', headers, ...over })
    await gateway.documents.upsert('parked', [
      bare(0, { ...other, offset: 99 }),
      bare(1, { ...at }),
      bare(2, { ...other }),
      bare(3, { ...at, partition: 99 }),
    ])
    for (const id of ['pk_0000', 'pk_0002', 'pk_0003']) {
      const { status, body } = await post(`parked/${id}/retry`)
      expect([status, body]).toMatchObject([400, { code: 'bad-request', detail: expect.stringContaining(name) }])
    }
    expect(await post('parked/pk_0001/retry')).toMatchObject({ body: { state: 'retried', changed: true } })
    const records = await gateway.log.read({ topic: name, partition: at?.partition ?? 0, offset: 0 }, 9)
    expect(records.at(-1)).toMatchObject({
      value: Buffer.from('large'),
      headers: { ...headers, 'raylog-only': 'infer' },
    })

    await gateway.documents.upsert('parked', [bare(1, { ...at }), aParked(4)])
    const grown = records.length
    const listed = vi.spyOn(gateway.log, 'topics')
    expect(await post('parked/retry', {})).toMatchObject({ body: { retried: 2, remaining: 0 } })
    // Once for all four that are without their bytes.
    expect(listed).toHaveBeenCalledTimes(1)
    listed.mockRestore()
    expect(await gateway.documents.countBy('parked', 'state')).toEqual({ parked: 3, retried: 2 })
    const since = await gateway.log.read({ topic: name, partition: at?.partition ?? 0, offset: grown }, 9)
    expect(since[0]).toMatchObject({ value: Buffer.from('large') })
    // Dropping needs no bytes.
    expect(await post('parked/pk_0000/drop')).toMatchObject({ body: { state: 'dropped', changed: true } })
  })

  it('that is dropped cannot be retried any more', async () => {
    await gateway.documents.upsert('parked', [aParked(1)])
    expect(await post('parked/pk_0001/drop')).toMatchObject({ body: { state: 'dropped', changed: true } })
    expect(await post('parked/pk_0001/retry')).toMatchObject({ body: { state: 'dropped', changed: false } })
    expect(await post('parked/none/retry')).toMatchObject({ status: 404, body: { code: 'not-found' } })
  })

  it('stays parked where the log does not take it', async () => {
    await gateway.documents.upsert('parked', [aParked(1)])
    const failing = vi.spyOn(gateway.log, 'append').mockRejectedValueOnce(new RaylogError('log-unavailable', 'away'))
    expect(await post('parked/pk_0001/retry')).toMatchObject({ status: 503, body: { code: 'log-unavailable' } })
    failing.mockRestore()
    expect(await gateway.documents.get('parked', 'pk_0001')).toMatchObject({ state: 'parked' })
    expect(await post('parked/pk_0001/retry')).toMatchObject({ body: { changed: true } })
  })

  it('is one of many that are retried by code and stage, and by no other key', async () => {
    const all = Array.from({ length: 10 }, (_, n) => aParked(n, n < 4 ? { code: 'worker-died' } : {}))
    await gateway.documents.upsert('parked', [...all, aParked(50, { stage: 'report', code: 'worker-died' })])
    const filter = { stage: 'infer', code: 'worker-died' }
    expect(await post('parked/retry', filter)).toMatchObject({ body: { retried: 4, remaining: 0 } })
    expect(await gateway.documents.count('parked', { state: 'parked' })).toBe(7)
    expect(await post('parked/retry', { stge: 'infer' })).toMatchObject({ status: 400, body: { code: 'bad-request' } })
  })

  it('is one of many that are read page by page, as each may be large', async () => {
    await gateway.documents.upsert(
      'parked',
      Array.from({ length: 120 }, (_, n) => aParked(n)),
    )
    const find = vi.spyOn(gateway.documents, 'find')
    expect(await post('parked/retry', {})).toMatchObject({ body: { retried: 120, remaining: 0 } })
    expect(find.mock.calls.map(([collection, query]) => [collection, query?.limit])).toEqual(
      Array(3).fill(['parked', 50]),
    )
    find.mockRestore()
  })
})

describe('names', () => {
  const identity = { name: 'Canary^Jane', patientId: '1', issuer: null, birthDate: null, sex: null, accession: null }

  it('are told only where the settings say so', async () => {
    await using open = await startGateway({ showNames: true })
    const sealed = open.secrets.seal(JSON.stringify(identity), 'pt_1')
    await open.documents.upsert('patients', [{ id: 'pt_1', site: 'main', sealed }])
    await open.documents.upsert('instances', [anInstance(1, { patient: 'pt_1' }), anInstance(2, { patient: 'pt_2' })])
    const patientOf = async (id: string) => (await open.ask(`/api/v1/instances/${id}`)).json()
    expect(await patientOf('in_0001')).toMatchObject({ patient: { pseudonym: 'pt_1', name: 'Canary^Jane' } })
    expect(await patientOf('in_0002')).toMatchObject({ patient: { pseudonym: 'pt_2' } })
  })

  it('that cannot be opened leave the image to be seen', async () => {
    await using open = await startGateway({ showNames: true })
    await open.documents.upsert('patients', [{ id: 'pt_1', site: 'main', sealed: 'rubbish' }])
    await open.documents.upsert('instances', [anInstance(1, { patient: 'pt_1' })])
    const answer = await open.ask('/api/v1/instances/in_0001')
    expect([answer.status, await answer.json()]).toMatchObject([200, { patient: { pseudonym: 'pt_1' } }])
  })
})
