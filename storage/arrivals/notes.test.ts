import { randomBytes } from 'node:crypto'
import { cp, mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { RaylogError } from '../../schemas/errors.ts'
import { digest, full, useArrivals } from '../../tests/harness/arrivals.ts'
import { until } from '../../tests/harness/until.ts'
import { canSync } from '../direct.ts'
import type { Arrivals, ArrivalsOptions, Deliver } from './port.ts'
import { largestNote, recordBytes } from './records.ts'

/** Takes notes as it is told, and says what it took. */
function receiver() {
  const taken: string[] = []
  const unsure: boolean[] = []
  let refusal: Error | undefined
  let held: Promise<void> | undefined
  let asked = 0
  const deliver: Deliver = async (notes, again) => {
    asked++
    await held
    unsure.push(again)
    if (refusal) throw refusal
    taken.push(...notes.map(note => Buffer.from(note).toString()))
  }
  return {
    taken,
    unsure,
    deliver,
    asked: () => asked,
    refuse: (error?: Error) => (refusal = error),
    hold() {
      const { promise, resolve } = Promise.withResolvers<void>()
      held = promise
      return () => {
        held = undefined
        resolve()
      }
    },
  }
}
const away = new RaylogError('log-unavailable', 'away')
/** Files are no part of the test. */
const file: ArrivalsOptions['file'] = async standing => standing.map(() => undefined)

describe.skipIf(!canSync)('notes on what came (Linux)', () => {
  const { files, place, openHere, arrive, arriveNoted, wreck, onDisk, onWrite, failing } = useArrivals()

  /** Many small objects with notes, in their order, in two segments at most. */
  async function arriveMany(arrivals: Arrivals, notes: readonly string[]): Promise<void> {
    const made = async () => (await readdir(place())).filter(name => !name.endsWith('.new'))
    await until('there are two', async () => (await made()).length > 1)
    for (let at = 0; at < notes.length; at += 100) {
      const put = notes.slice(at, at + 100).map(note => {
        const bytes = Buffer.from(`of ${note}`)
        return arrivals.putNoted(bytes, digest(bytes), async () => Buffer.from(note))
      })
      expect(await Promise.all(put)).not.toContain(false)
    }
  }
  const named = (count: number) => Array.from({ length: count }, (_, n) => `note ${n}`)

  it('are delivered by themselves, in their order, behind the answer', async () => {
    const { taken, deliver, unsure } = receiver()
    const arrivals = await openHere({ deliver })
    await arrive(arrivals, randomBytes(100))
    const notes = Array.from({ length: 40 }, (_, n) => `note ${n}`)
    const answered = notes.map(note => {
      const bytes = randomBytes(5_000)
      return arrivals.putNoted(bytes, digest(bytes), async () => Buffer.from(note)).then(() => taken.length)
    })
    expect(await Promise.all(answered)).toEqual(notes.map(() => 0))
    await until('all are delivered', () => taken.length === notes.length)
    expect(taken).toEqual(notes)
    expect(unsure).not.toContain(true)
  })

  it('are not lost where the process is killed, whether or not their objects have files', async () => {
    const killed = receiver()
    const release = killed.hold()
    const arrivals = await openHere({ deliver: killed.deliver })
    await arrivals.settle(await arriveNoted(arrivals, randomBytes(9_000), 'has its file'))
    await arriveNoted(arrivals, randomBytes(9_000), 'has none')
    const next = receiver()
    await openHere({ folder: await wreck(), deliver: next.deliver })
    await until('both are delivered', () => next.taken.length === 2)
    expect(next.taken).toEqual(['has its file', 'has none'])
    expect(next.unsure).toEqual([true])
    release()
  })

  it('are delivered in the order in which they came, whatever the segments of the killed process are called', async () => {
    const killed = receiver()
    const release = killed.hold()
    const half = 4096 + 300 * recordBytes(1)
    const arrivals = await openHere({ deliver: killed.deliver, file, segmentBytes: half })
    const [first = '', ...others] = named(600)
    await arriveNoted(arrivals, Buffer.from('of the first'), first)
    await arriveMany(arrivals, others)
    const left = await wreck()
    const turned = place('turned')
    await mkdir(turned)
    const names = (await readdir(left)).toSorted()
    for (const [n, name] of names.toReversed().entries()) await cp(join(left, name), join(turned, names[n] ?? ''))
    for (const folder of [left, turned]) {
      const { taken, unsure, deliver } = receiver()
      const next = await openHere({ folder, deliver, file, segmentBytes: half })
      await until('all are delivered', () => taken.length >= 600)
      expect(taken).toEqual(named(600))
      await arriveNoted(next, randomBytes(100), 'after them')
      await until('another is', () => taken.length > 600)
      expect(unsure).toEqual([true, true, true, false])
    }
    release()
  })

  it('are looked for no longer than while those that were left are', async () => {
    const killed = receiver()
    const release = killed.hold()
    await arriveNoted(await openHere({ deliver: killed.deliver }), randomBytes(100), 'left')
    const { taken, unsure, asked, deliver, hold } = receiver()
    const goOn = hold()
    const next = await openHere({ folder: await wreck(), deliver })
    await until('the one that was left is under way', () => asked() === 1)
    await arriveNoted(next, randomBytes(100), 'came meanwhile')
    goOn()
    await until('both are delivered', () => taken.length === 2)
    expect(unsure).toEqual([true, false])
    release()
  })

  it('are taken until so many wait, and again when they do not', async () => {
    const { taken, deliver, hold } = receiver()
    const release = hold()
    const arrivals = await openHere({ deliver, file, segmentBytes: 8 * 1024 * 1024 })
    const bytes = randomBytes(100)
    const put = () => arrivals.putNoted(bytes, digest(bytes), async () => Buffer.from('last'))
    await arriveNoted(arrivals, randomBytes(100), 'first')
    await arriveMany(arrivals, named(1_023))
    expect(await put()).toBe(false)
    release()
    await until('those are delivered', () => taken.length === 1_024)
    expect(await put()).toBe(true)
  })

  it('are delivered, or refused, before the same object is said to be kept again', async () => {
    const { taken, deliver, hold, refuse } = receiver()
    const release = hold()
    const arrivals = await openHere({ deliver })
    const bytes = randomBytes(9_000)
    const sha256 = await arriveNoted(arrivals, bytes, 'first')
    const again = () => arrivals.put(bytes, sha256).then(kept => [kept, ...taken])
    const here = again()
    await arrivals.settle(sha256)
    const withFile = again()
    release()
    expect(await here).toEqual([true, 'first'])
    expect(await withFile).toEqual([true, 'first'])
    refuse(away)
    const other = randomBytes(9_000)
    await arriveNoted(arrivals, other, 'refused')
    expect(await arrivals.put(other, digest(other))).toBe(true)
    expect(taken).toEqual(['first'])
    expect(arrivals.refused).toBe(away)
    refuse()
    await until('it is delivered after all', () => taken.length === 2)
    expect(arrivals.refused).toBeUndefined()
  })

  it('hold their segment until they are delivered, though all in it have files', async () => {
    const { taken, deliver, hold } = receiver()
    const release = hold()
    const arrivals = await openHere({ deliver, maxSegments: 1, segmentBytes: 128 * 1024 })
    await arrivals.settle(await arriveNoted(arrivals, randomBytes(60_000), 'first'))
    const next = randomBytes(60_000)
    expect(await arrivals.put(next, digest(next))).toBe(false)
    release()
    await arrive(arrivals, next)
    expect(taken).toEqual(['first'])
  })

  it('are tried again where they are refused; none is taken meanwhile, and objects without one are', async () => {
    const { taken, unsure, deliver, refuse } = receiver()
    const arrivals = await openHere({ deliver })
    refuse(away)
    await arriveNoted(arrivals, randomBytes(5_000), 'waits')
    await until('it was refused', () => unsure.length > 0)
    const bytes = randomBytes(5_000)
    const write = vi.fn(async () => Buffer.from('not taken'))
    expect(await arrivals.putNoted(bytes, digest(bytes), write)).toBe(false)
    expect(write).not.toHaveBeenCalled()
    expect(await arrivals.put(bytes, digest(bytes))).toBe(true)
    refuse()
    await until('it is delivered', () => taken.length === 1)
    // What was refused may have arrived all the same: who takes it is told to look.
    expect(unsure.slice(0, 2)).toEqual([false, true])
    await arriveNoted(arrivals, randomBytes(5_000), 'taken again')
    await until('it is delivered too', () => taken.length === 2)
    expect(unsure.at(-1)).toBe(false)
  })

  it('stand in the segments after a stop in which they were refused', async () => {
    const first = receiver()
    first.refuse(away)
    const arrivals = await openHere({ deliver: first.deliver })
    const bytes = randomBytes(5_000)
    await arriveNoted(arrivals, bytes, 'kept')
    await arrivals.close()
    expect(files.get(digest(bytes))?.equals(bytes)).toBe(true)
    const next = receiver()
    const again = await openHere({ deliver: next.deliver })
    await again.settle()
    await until('it is delivered, and the segment goes', async () => (await readdir(place())).length === 0)
    expect(next.taken).toEqual(['kept'])
  })

  it('go before their object is erased, which is refused as long as they are; nothing of either comes back', async () => {
    const { taken, deliver, refuse, hold } = receiver()
    const arrivals = await openHere({ deliver })
    const release = hold()
    const bytes = randomBytes(9_000)
    const sha256 = await arriveNoted(arrivals, bytes, 'said')
    const order: string[] = []
    const erasing = arrivals.erase(sha256).then(() => order.push('erased', ...taken))
    release()
    await erasing
    expect(order).toEqual(['erased', 'said'])
    expect(await onDisk(bytes)).toBe(false)
    const next = receiver()
    const found = await openHere({ folder: await wreck(), deliver: next.deliver })
    await arriveNoted(found, randomBytes(9_000), 'after it')
    await until('another is delivered', () => next.taken.length > 0)
    expect(next.taken).toEqual(['after it'])
    refuse(away)
    const other = await arriveNoted(arrivals, randomBytes(9_000), 'refused')
    await until('it is refused', () =>
      arrivals.erase(other).then(
        () => false,
        error => error.code === 'log-unavailable',
      ),
    )
    expect(arrivals.keys()).toContain(other)
    refuse()
    await until('it may go', () =>
      arrivals.erase(other).then(
        () => true,
        () => false,
      ),
    )
    expect(taken).toEqual(['said', 'refused'])
  })

  it('are not said of what could not be written, and not taken where they are too long or nobody takes them', async () => {
    const { taken, deliver } = receiver()
    const arrivals = await openHere({ deliver })
    await arriveNoted(arrivals, randomBytes(5_000), 'x'.repeat(largestNote))
    const bytes = randomBytes(5_000)
    const put = (note: string, to = arrivals) => to.putNoted(bytes, digest(bytes), async () => Buffer.from(note))
    expect(await put('x'.repeat(largestNote + 1))).toBe(false)
    const deaf = await openHere({ folder: place('deaf') })
    await arrive(deaf, randomBytes(100))
    expect(await put('nobody hears it', deaf)).toBe(false)
    await onWrite(failing)
    await expect(put('not durable')).rejects.toMatchObject({ code: 'EIO' })
    vi.restoreAllMocks()
    await arriveNoted(arrivals, randomBytes(5_000), 'last')
    await until('the last is delivered', () => taken.includes('last'))
    expect(taken).toEqual(['x'.repeat(largestNote), 'last'])
  })

  it('are of the first of those who put the same at once', async () => {
    const { taken, deliver } = receiver()
    const arrivals = await openHere({ deliver, file: full })
    await arrive(arrivals, randomBytes(10))
    const bytes = randomBytes(40_000)
    const sent = Array.from({ length: 20 }, (_, n) =>
      arrivals.putNoted(bytes, digest(bytes), async () => Buffer.from(`${n}`)),
    )
    expect((await Promise.all(sent)).filter(noted => noted)).toHaveLength(1)
    await arriveNoted(arrivals, randomBytes(10), 'behind them')
    await until('they are delivered', () => taken.includes('behind them'))
    expect(taken).toHaveLength(2)
  })
})
