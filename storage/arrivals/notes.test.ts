import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { describe, expect, it, vi } from 'vitest'
import { RaylogError } from '../../schemas/errors.ts'
import { digest, full, useArrivals } from '../../tests/harness/arrivals.ts'
import { until } from '../../tests/harness/until.ts'
import { canSync } from '../direct.ts'
import type { Deliver } from './port.ts'
import { largestNote } from './records.ts'

/** Takes notes as it is told, and says what it took. */
function receiver() {
  const taken: string[] = []
  const unsure: boolean[] = []
  let refusal: Error | undefined
  let held: Promise<void> | undefined
  const deliver: Deliver = async (notes, again) => {
    await held
    unsure.push(again)
    if (refusal) throw refusal
    taken.push(...notes.map(note => Buffer.from(note).toString()))
  }
  return {
    taken,
    unsure,
    deliver,
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

describe.skipIf(!canSync)('notes on what came (Linux)', () => {
  const { files, place, openHere, arrive, arriveNoted, wreck, onDisk, onWrite, failing } = useArrivals()

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
