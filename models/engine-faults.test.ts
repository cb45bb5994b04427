/** The engine with real worker processes: images that fail, and workers that end. */
import { renameSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { ask, enginesPerTest, never, restarts } from '../tests/harness/engines.ts'
import { instanceOf, png } from './testing.ts'

const { open } = enginesPerTest()

describe('an image that fails', () => {
  it('fails alone: its neighbours in the batch are answered', async () => {
    const opened = await open(['slow', 'ratio'])
    const { objects } = opened
    const good = objects.put(await png(100))
    const damaged = { ...objects.put(await png(101)), sha256: 'b'.repeat(64) }
    const bad = {
      'not-an-image': objects.put(Buffer.from('these are no pixels')),
      'object-missing': { ...good, key: 'missing' },
      'object-damaged': damaged,
      'infer-failed': objects.put(await png(0)),
    }
    const held = ask(opened, 'slow', objects.put(await png(60)))
    const asked = Object.entries(bad).flatMap(([code, object]) => [
      ask(opened, 'ratio', good).then(output => expect(output.score).toBe(1)),
      expect(ask(opened, 'ratio', object)).rejects.toMatchObject({ code }),
    ])
    await Promise.all([held, ...asked])
    expect(await restarts(opened)).toEqual({})
  })

  it('is refused before it is queued when there are no pixels in it, or no such model', async () => {
    const opened = await open(['mean'])
    const object = opened.objects.put(await png(1))
    const options = { priority: 'routine' as const, signal: never() }
    const { engine, ref } = opened
    await expect(engine.predict(ref('mean'), instanceOf(object, { rows: null }), options)).rejects.toMatchObject({
      code: 'no-pixels',
    })
    await expect(engine.predict({ ...ref('mean'), version: '2' }, instanceOf(object), options)).rejects.toMatchObject({
      code: 'no-such-model',
    })
  })

  it('is given up as a worker-killer when it hangs two workers, and its neighbours are answered', async () => {
    const opened = await open([{ graph: 'slow', changes: { batch: { max: 8 } } }, 'mean'], { budgetMs: 1_500 })
    const [hang, good] = [opened.objects.put(await png(255)), opened.objects.put(await png(1))]
    const hung = expect(ask(opened, 'slow', hang)).rejects.toMatchObject({
      code: 'worker-killer',
      message: expect.stringContaining('no answer within 1500 ms'),
    })
    const neighbours = Array.from({ length: 7 }, () => ask(opened, 'slow', good))
    await Promise.all([hung, ...neighbours, ask(opened, 'mean', good)])
    expect(await restarts(opened)).toEqual({ 'worker-timeout': 2 })
  })
})

describe('a worker that ends', () => {
  it('is replaced, and what it had is done by another', async () => {
    const opened = await open(['slow', 'mean'], { workers: 2 })
    await vi.waitFor(() => expect(opened.engine.workers()).toHaveLength(2), { timeout: 25_000 })
    const before = opened.engine.workers()
    const [hold, object] = [opened.objects.put(await png(90)), opened.objects.put(await png(51))]
    const asked = [
      ...[1, 2].map(() => ask(opened, 'slow', hold)),
      ...Array.from({ length: 50 }, () => ask(opened, 'mean', object)),
    ]
    for (const pid of before) process.kill(pid, 'SIGKILL')
    const said = await Promise.all(asked)
    expect(said.slice(2).every(output => Math.abs(output.score - 0.2) < 1e-6)).toBe(true)
    await vi.waitFor(() => expect(opened.engine.workers()).toHaveLength(2), { timeout: 25_000 })
    expect(opened.engine.workers().filter(pid => before.includes(pid))).toEqual([])
    expect(await restarts(opened)).toEqual({ 'worker-died': 2 })
  })

  it('twice with the same image gives that image up', async () => {
    const opened = await open(['slow'])
    const hang = expect(ask(opened, 'slow', opened.objects.put(await png(255)))).rejects.toMatchObject({
      code: 'worker-killer',
      message: expect.stringContaining('SIGKILL'),
    })
    for (let last = 0, round = 0; round < 2; round += 1) {
      const [pid = 0] = await vi.waitUntil(
        () => {
          const [ready] = opened.engine.workers()
          return ready !== undefined && ready !== last && opened.engine.workers()
        },
        { timeout: 25_000 },
      )
      last = pid
      process.kill(pid, 'SIGKILL')
    }
    await hang
  })

  it('is not the one that gets a Ctrl-C or a SIGTERM meant for the whole group', async () => {
    const opened = await open(['mean'])
    const [pid = 0] = opened.engine.workers()
    process.kill(pid, 'SIGINT')
    process.kill(pid, 'SIGTERM')
    await ask(opened, 'mean', opened.objects.put(await png(1)))
    expect(opened.engine.workers()).toEqual([pid])
  })

  it('and cannot start again is tried with pauses; work waits and goes on when it starts', async () => {
    const opened = await open(['mean'])
    const object = opened.objects.put(await png(51))
    const weights = join(opened.root, 'models/mean-1/model.onnx')
    renameSync(weights, `${weights}.away`)
    for (const pid of opened.engine.workers()) process.kill(pid, 'SIGKILL')
    await vi.waitFor(async () => expect((await restarts(opened))['worker-died']).toBeGreaterThan(1), {
      timeout: 25_000,
    })
    expect(opened.engine.list()[0]).toMatchObject({ state: 'loading', reason: 'no worker is running' })
    const asked = ask(opened, 'mean', object)
    renameSync(`${weights}.away`, weights)
    expect((await asked).score).toBeCloseTo(0.2, 6)
    expect(opened.engine.list()[0]).toMatchObject({ state: 'ready', reason: null })
  })
})
