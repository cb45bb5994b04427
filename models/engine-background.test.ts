/** Background work and models on standby, with real worker processes. */
import { describe, expect, it, vi } from 'vitest'
import { enginesPerTest } from '../tests/harness/engines.ts'
import type { ModelOutput, PredictOptions } from './port.ts'
import { instanceOf, png } from './testing.ts'

const engines = enginesPerTest()

async function open(...options: Parameters<typeof engines.open>) {
  const opened = await engines.open(...options)
  const object = opened.objects.put(await png(10))
  const order: string[] = []
  function ask(model: string, priority: PredictOptions['priority'], signal = new AbortController().signal) {
    const answer = opened.engine.predict(opened.ref(model), instanceOf(object), { priority, signal })
    return answer.then((output): ModelOutput => {
      order.push(priority)
      return output
    })
  }
  return { ...opened, object, order, ask }
}

describe('background work', () => {
  it('lets all live work go first, and is never in one batch with it', async () => {
    const { ask, order } = await open(['slow', 'mean'])
    const held = ask('slow', 'stat')
    const background = Array.from({ length: 10 }, () => ask('mean', 'background'))
    const live = Array.from({ length: 5 }, () => ask('mean', 'routine'))
    await Promise.all([held, ...background, ...live])
    expect(order).toEqual(['stat', ...live.map(() => 'routine'), ...background.map(() => 'background')])
    for (const output of await Promise.all(live)) expect(output.timings.batch).toBeLessThanOrEqual(5)
    // Live work has just come: one image at a time, so that the next live one need not wait for a batch.
    for (const output of await Promise.all(background)) expect(output.timings.batch).toBe(1)
  })

  it('leaves a worker free while live work comes', async () => {
    const { ask, order, engine } = await open(['slow', 'mean'], { workers: 2 })
    // The engine answers as soon as one worker is ready; of a single one, live and background work take turns.
    await vi.waitFor(() => expect(engine.workers()).toHaveLength(2), { timeout: 20_000 })
    // Each worker loads what decodes a PNG with its first.
    await Promise.all([ask('slow', 'routine'), ask('slow', 'routine')])
    await ask('mean', 'routine')
    const background = [ask('slow', 'background'), ask('slow', 'background')]
    await ask('mean', 'routine')
    // Both would have been under way, had it taken both workers.
    expect(order).toEqual(['routine', 'routine', 'routine', 'routine'])
    await Promise.all(background)
  })

  it('goes one image at a time also while live work comes to other processes', async () => {
    const { ask, engine } = await open(['mean'])
    async function batches(came: () => void) {
      came()
      const outputs = Array.from({ length: 10 }, async () => {
        const { timings } = await ask('mean', 'background')
        came()
        return timings.batch
      })
      return await Promise.all(outputs)
    }
    await batches(() => undefined)
    expect(Math.max(...(await batches(() => undefined)))).toBeGreaterThan(1)
    expect(await batches(() => engine.giveWay())).toEqual(Array(10).fill(1))
  })

  it('is dropped where it is no longer wanted', async () => {
    const { ask, order } = await open(['slow', 'mean'])
    const stop = new AbortController()
    const held = ask('slow', 'routine')
    const given = ask('mean', 'background', stop.signal)
    stop.abort(new Error('cancelled'))
    await expect(given).rejects.toThrow('cancelled')
    await held
    await ask('mean', 'background')
    expect(order).toEqual(['routine', 'background'])
  })
})

describe('a model on standby', () => {
  const two = [
    { graph: 'mean', changes: { version: '1' } },
    { graph: 'mean', changes: { version: '2', output: { threshold: 0.01 } } },
  ] as const

  it('is not routed to, and answers whoever asks for it', async () => {
    const { engine, object } = await open(two, { standby: ['mean@2'] })
    const instance = instanceOf(object)
    const versions = (standby: boolean) => engine.routes(instance, { standby }).map(({ model }) => model.version)
    expect(engine.routes(instance).map(({ model }) => model.version)).toEqual(['1'])
    expect(versions(true)).toEqual(['1', '2'])
    expect(engine.list().map(({ ref, standby }) => [ref.version, standby])).toEqual([
      ['1', undefined],
      ['2', true],
    ])
    const options = { priority: 'background', signal: new AbortController().signal } as const
    const said = await Promise.all(engine.list().map(({ ref }) => engine.predict(ref, instance, options)))
    expect(said.map(({ label }) => label)).toEqual(['dark', 'bright'])
  })

  it('is refused at the start where no folder holds it: it would be in production by a typing error', async () => {
    await expect(open(two, { standby: ['mean@3'] })).rejects.toMatchObject({
      code: 'config-invalid',
      message: 'models.standby names mean@3; the folders hold: mean@1, mean@2',
    })
  })
})
