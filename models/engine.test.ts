/** The engine with real worker processes: what it answers, in which batches, and how it opens and closes. */
import { join } from 'node:path'
import pino from 'pino'
import { describe, expect, it, vi } from 'vitest'
import { RaylogError } from '../schemas/errors.ts'
import { routingRule } from '../schemas/routing.ts'
import { ask, enginesPerTest, never, restarts, serveObjects } from '../tests/harness/engines.ts'
import type { ModelOutput } from './port.ts'
import { dicomFile, graphsFolder, instanceOf, manifestOf, png, testEngine, writeModel } from './testing.ts'

const { folder, open } = enginesPerTest()

const alive = (pid: number) => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

describe('answers', () => {
  it('are those of the graph for float32, float16 and uint8, planar and interleaved, dynamic and fixed batches', async () => {
    const opened = await open(['mean', 'single', 'classes', 'half', 'bytes'])
    const object = opened.objects.put(await png(204, 102, 51))
    // The mean graph sees grey: (204 * 19595 + 102 * 38470 + 51 * 7471 + 0x8000) >> 16 = 127.
    expect(await ask(opened, 'mean', object)).toMatchObject({ label: 'dark', score: expect.closeTo(127 / 255, 6) })
    expect(await ask(opened, 'single', object)).toMatchObject({ score: expect.closeTo(127 / 255, 6) })
    expect((await ask(opened, 'bytes', object)).probabilities).toMatchObject({
      red: expect.closeTo(0.8, 6),
      green: expect.closeTo(0.4, 6),
      blue: expect.closeTo(0.2, 6),
    })
    const [full, half] = [await ask(opened, 'classes', object), await ask(opened, 'half', object)]
    expect(full).toMatchObject({ label: 'red', score: expect.closeTo(1 / (1 + Math.exp(-4) + Math.exp(-6)), 5) })
    expect(half).toMatchObject({ label: 'red', score: expect.closeTo(full.score, 3) })
  })

  it('are the same alone as in a batch of any size', async () => {
    const opened = await open(['classes'])
    const objects = await Promise.all(
      Array.from({ length: 24 }, async (_, i) => opened.objects.put(await png(9 * i, 5 * i, 90))),
    )
    const alone: ModelOutput[] = []
    for (const object of objects) alone.push(await ask(opened, 'classes', object))
    const together = await Promise.all(objects.map(object => ask(opened, 'classes', object)))
    expect(new Set(alone.map(output => output.timings.batch))).toEqual(new Set([1]))
    expect(Math.max(...together.map(output => output.timings.batch))).toBeGreaterThan(4)
    expect(together.map(output => output.probabilities)).toEqual(alone.map(output => output.probabilities))
  })

  it('come to the right asker for 1,000 instances through two workers', async () => {
    const opened = await open(['bytes', 'mean'], { workers: 2 })
    const greys = Array.from({ length: 50 }, (_, i) => i * 5)
    const objects = await Promise.all(greys.map(async grey => opened.objects.put(await png(grey))))
    const said = await Promise.all(
      Array.from({ length: 1000 }, (_, i) => {
        const object = objects[i % 50]
        if (!object) throw new Error('no object')
        return ask(opened, i % 3 === 0 ? 'mean' : 'bytes', object)
      }),
    )
    for (const [i, output] of said.entries()) {
      const shown = i % 3 === 0 ? output.score : output.probabilities.green
      expect(shown).toBeCloseTo((greys[i % 50] ?? 0) / 255, 5)
    }
    expect(await restarts(opened)).toEqual({})
  })

  it('are of the middle frame of many, and say so', async () => {
    const opened = await open(['mean'])
    const bytes = dicomFile({ rows: 8, columns: 8, frames: 5, sample: i => 51 * Math.floor(i / 64) })
    const instance = instanceOf(opened.objects.put(bytes, 'application/dicom'), { frames: 5 })
    const said = await opened.engine.predict(opened.ref('mean'), instance, { priority: 'routine', signal: never() })
    expect(said.score).toBeCloseTo(102 / 255, 2)
    expect(said.quality).toEqual(['one-frame-of-many'])
  })

  it('come from a store that has no place on this machine too', async () => {
    const opened = await open(['mean'], {}, { remote: true })
    expect((await ask(opened, 'mean', opened.objects.put(await png(102)))).score).toBeCloseTo(0.4, 6)
    const gone = { key: 'gone', sha256: 'a'.repeat(64), bytes: 1, contentType: 'image/png' }
    await expect(ask(opened, 'mean', gone)).rejects.toMatchObject({ code: 'object-missing' })
  })

  it('come from a store that signs URLs, which workers fetch by themselves', async () => {
    await using served = await serveObjects()
    const { presign } = served
    const opened = await open(['mean'], {}, { remote: true, presign })
    const object = opened.objects.put(await png(102))
    served.objects.set(object.key, opened.objects.bytes(object.key))
    expect((await ask(opened, 'mean', object)).score).toBeCloseTo(0.4, 6)
    expect(served.asked).toEqual([`/${object.key}`])
    const other = opened.objects.put(await png(51))
    served.objects.set(other.key, opened.objects.bytes(object.key))
    await expect(ask(opened, 'mean', other)).rejects.toMatchObject({ code: 'object-damaged' })
    const gone = { ...object, key: 'gone' }
    await expect(ask(opened, 'mean', gone)).rejects.toMatchObject({ code: 'object-missing' })
    expect(await restarts(opened)).toEqual({})
  })

  it('wait for a store whose folder is away, as of a share that is not mounted', async () => {
    const opened = await open(['mean'])
    const away = { key: 'away/object', sha256: 'a'.repeat(64), bytes: 1, contentType: 'image/png' }
    await expect(ask(opened, 'mean', away)).rejects.toMatchObject({ code: 'store-unavailable' })
  })

  it('are promised by no route that a rule of the settings refuses', async () => {
    const rules = [routingRule.parse({ model: 'mean', allow: false })]
    const opened = await open(['mean', 'classes'], { rules })
    const instance = instanceOf(opened.objects.put(await png(1)))
    const accepted = opened.engine.routes(instance).filter(route => route.accepted)
    expect(accepted.map(({ model }) => model.name)).toEqual(['classes'])
  })
})

describe('batching', () => {
  it('takes what waits when the worker is free, up to the largest batch', async () => {
    const opened = await open(['slow', 'mean'])
    const [hold, object] = [opened.objects.put(await png(60)), opened.objects.put(await png(10))]
    const held = ask(opened, 'slow', hold)
    const said = await Promise.all([held, ...Array.from({ length: 40 }, () => ask(opened, 'mean', object))])
    const sizes = said.slice(1).map(output => output.timings.batch)
    expect(Math.max(...sizes)).toBe(16)
    // 16 of 40; of what is left each of two loads has half, one of 8 included.
    expect(Math.min(...sizes)).toBeGreaterThanOrEqual(4)
    const [, first] = said
    expect(first?.timings.queueMs).toBeGreaterThan(0)
  })

  it('runs one by one what a graph takes one by one, however many go to the worker at once', async () => {
    const opened = await open(['slow', 'single'])
    const objects = await Promise.all([...Array(12).keys()].map(async i => opened.objects.put(await png(20 * i))))
    const alone: number[] = []
    for (const object of objects) alone.push((await ask(opened, 'single', object)).score)
    const held = ask(opened, 'slow', opened.objects.put(await png(60)))
    const damaged = { ...opened.objects.put(await png(101)), sha256: 'b'.repeat(64) }
    const refused = expect(ask(opened, 'single', damaged)).rejects.toMatchObject({ code: 'object-damaged' })
    const together = await Promise.all(objects.map(object => ask(opened, 'single', object)))
    expect(together.map(({ score }) => score)).toEqual(alone)
    expect(together.map(({ timings }) => timings.batch)).toEqual(objects.map(() => 1))
    await Promise.all([held, refused])
  })

  it('waits for company as long as it is told to, but not with a stat image', async () => {
    const opened = await open(['mean'], { batchDelayMs: 300 })
    const object = opened.objects.put(await png(10))
    const stat = await ask(opened, 'mean', object, 'stat')
    const routine = await Promise.all([1, 2, 3].map(() => ask(opened, 'mean', object)))
    expect(stat.timings).toMatchObject({ batch: 1 })
    expect(routine.map(output => output.timings.batch)).toEqual([3, 3, 3])
    for (const output of routine) expect(output.timings.queueMs).toBeGreaterThan(250)
  })

  it('lets a stat image go before the routine ones that wait', async () => {
    const opened = await open(['slow', 'single'])
    const [hold, object] = [opened.objects.put(await png(60)), opened.objects.put(await png(10))]
    const order: string[] = []
    const noted = (name: string, promise: Promise<ModelOutput>) => promise.then(() => order.push(name))
    await Promise.all([
      noted('held', ask(opened, 'slow', hold)),
      ...Array.from({ length: 10 }, () => noted('routine', ask(opened, 'single', object))),
      noted('urgent', ask(opened, 'single', object, 'urgent')),
      noted('stat', ask(opened, 'single', object, 'stat')),
    ])
    expect(order.slice(0, 3)).toEqual(['held', 'stat', 'urgent'])
  })

  it('drops a queued image that is no longer wanted, and lets go of one under way at once', async () => {
    const opened = await open(['slow', 'mean'])
    const [hold, object] = [opened.objects.put(await png(120)), opened.objects.put(await png(10))]
    const stop = new AbortController()
    const options = { priority: 'routine' as const, signal: stop.signal }
    const running = opened.engine.predict(opened.ref('slow'), instanceOf(hold), options)
    const queued = opened.engine.predict(opened.ref('mean'), instanceOf(object), options)
    stop.abort(new Error('not wanted'))
    await expect(running).rejects.toThrow('not wanted')
    await expect(queued).rejects.toThrow('not wanted')
    expect((await ask(opened, 'mean', object)).timings.batch).toBe(1)
    const { values } = await opened.metrics.batchSize.get()
    const runs = values.filter(({ metricName, labels }) => metricName?.endsWith('_count') && labels.model === 'mean@1')
    expect(runs.map(({ value }) => value)).toEqual([1])
  })

  it('gives back what no worker has yet when its partition is let go of, and finishes what one has', async () => {
    await using served = await serveObjects()
    const { presign } = served
    const opened = await open(['slow', 'mean'], {}, { remote: true, presign })
    const [hold, object] = [opened.objects.put(await png(120)), opened.objects.put(await png(10))]
    for (const { key } of [hold, object]) served.objects.set(key, opened.objects.bytes(key))
    const leave = new AbortController()
    const options = { priority: 'routine' as const, signal: never(), leaving: leave.signal }
    const running = opened.engine.predict(opened.ref('slow'), instanceOf(hold), options)
    await vi.waitFor(() => expect(served.asked).toEqual([`/${hold.key}`]), 25_000)
    const queued = expect(opened.engine.predict(opened.ref('mean'), instanceOf(object), options)).rejects.toThrow('bye')
    leave.abort(new Error('bye'))
    await queued
    expect((await running).timings.batch).toBe(1)
    await expect(opened.engine.predict(opened.ref('mean'), instanceOf(object), options)).rejects.toThrow('bye')
  })
})

describe('opening and closing', () => {
  it('goes on with the good models when one is not what its manifest says, and names the reason', async () => {
    const root = folder()
    const weights = join(graphsFolder, 'classes.onnx')
    writeModel(join(root, 'models'), 'wrong', manifestOf('mean', { name: 'wrong' }, weights), weights)
    writeModel(
      join(root, 'models'),
      'junk',
      manifestOf('mean', { name: 'junk' }, import.meta.filename),
      import.meta.filename,
    )
    const lines: unknown[] = []
    const logger = pino({ level: 'error' }, { write: line => void lines.push(JSON.parse(line)) })
    await using opened = await testEngine(root, ['mean'], {}, { logger })
    const { engine } = opened
    const states = Object.fromEntries(engine.list().map(info => [info.ref.name, info]))
    expect(states.mean).toMatchObject({ state: 'ready', reason: null })
    expect(states.wrong).toMatchObject({
      state: 'failed',
      reason: expect.stringContaining('input is NCHW N x 1 x 8 x 8; the graph takes N x 3 x 8 x 8'),
    })
    expect(states.junk).toMatchObject({ state: 'failed', reason: expect.stringContaining('cannot load the weights') })
    const object = { key: 'k', sha256: 'a'.repeat(64), bytes: 1, contentType: 'image/png' }
    expect(engine.routes(instanceOf(object)).map(route => [route.model.name, route.accepted])).toEqual(
      expect.arrayContaining([
        ['mean', true],
        ['wrong', false],
        ['junk', false],
      ]),
    )
    for (const name of ['wrong', 'junk']) {
      const { reason } = states[name] ?? {}
      expect(lines).toContainEqual(expect.objectContaining({ code: 'model-invalid', model: `${name}@1`, reason }))
      const asked = engine.predict(opened.ref(name), instanceOf(object), { priority: 'routine', signal: never() })
      await expect(asked).rejects.toMatchObject({ code: 'no-such-model', message: `${name}@1 failed: ${reason}` })
    }
  })

  it('runs each graph once before it is ready: one that loads and does not run has failed, and its neighbour serves', async () => {
    const opened = await open(['fails', 'mean'])
    const states = Object.fromEntries(opened.engine.list().map(info => [info.ref.name, info]))
    // ONNX Runtime's own words when it runs, not when it loads.
    expect(states.fails).toMatchObject({
      state: 'failed',
      reason: expect.stringMatching(/Gather.*out of data bounds/s),
    })
    expect(states.fails?.reason).not.toContain('cannot load the weights')
    const object = opened.objects.put(await png(51))
    expect(opened.engine.routes(instanceOf(object)).map(({ model, accepted }) => [model.name, accepted])).toEqual([
      ['fails', false],
      ['mean', true],
    ])
    expect((await ask(opened, 'mean', object)).score).toBeCloseTo(0.2, 6)
    expect(await restarts(opened)).toEqual({})
  })

  it('falls back to the next provider, and says so in the log', async () => {
    const lines: string[] = []
    const logger = pino({ level: 'warn' }, { write: line => void lines.push(line) })
    const opened = await open(['mean'], { providers: ['cuda', 'cpu'] }, { logger })
    expect((await ask(opened, 'mean', opened.objects.put(await png(51)))).score).toBeCloseTo(0.2, 6)
    if (lines.length > 0) expect(lines[0]).toContain('provider passed over')
  })

  it('opens without a worker where there is no model', async () => {
    const { engine } = await testEngine(folder(), [])
    expect(engine.list()).toEqual([])
    expect(engine.workers()).toEqual([])
    await engine.close()
  })

  it('answers what was asked before it closes, takes nothing after, and leaves no process', async () => {
    const opened = await open(['slow', 'mean'], { workers: 2 })
    await vi.waitFor(() => expect(opened.engine.workers()).toHaveLength(2), { timeout: 25_000 })
    const pids = opened.engine.workers()
    const object = opened.objects.put(await png(51))
    const asked = Promise.all([
      ask(opened, 'slow', object),
      ...Array.from({ length: 100 }, () => ask(opened, 'mean', object)),
    ])
    const closed = opened.engine.close()
    await expect(ask(opened, 'mean', object)).rejects.toBeInstanceOf(RaylogError)
    expect(await asked).toHaveLength(101)
    await closed
    expect(pids.filter(alive)).toEqual([])
  })
})

describe('without workers', () => {
  it('models are known and routed to, no worker is started, and a prediction is refused', async () => {
    const opened = await open(['mean'], {}, { predicts: false })
    const instance = instanceOf(opened.objects.put(await png(1, 2, 3)))
    expect(opened.engine.list().map(({ state }) => state)).toEqual(['ready'])
    expect(opened.engine.routes(instance)).toHaveLength(1)
    expect(opened.engine.workers()).toEqual([])
    const asked = opened.engine.predict(opened.ref('mean'), instance, { priority: 'stat', signal: never() })
    await expect(asked).rejects.toThrow(/without workers/)
  })
})
