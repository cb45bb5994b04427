import { describe, expect, it } from 'vitest'
import { createRate } from './rate.ts'

/** Time moves when somebody sleeps. */
function fakeClock() {
  let now = 1_000
  return {
    now: () => now,
    async sleep(ms: number, signal?: AbortSignal) {
      signal?.throwIfAborted()
      now += ms
    },
  }
}
const never = new AbortController().signal

describe('a rate', () => {
  it('lets so many instances a second through, and saves up none', async () => {
    const clock = fakeClock()
    const rate = createRate({ maxInstancesPerSecond: 4, maxBytesPerSecond: null }, clock)
    await Promise.all(Array.from({ length: 9 }, () => rate.turn(never)))
    expect(clock.now()).toBe(3_000)
    await clock.sleep(60_000)
    await Promise.all(Array.from({ length: 5 }, () => rate.turn(never)))
    expect(clock.now()).toBe(64_000)
  })

  it('has the next image wait until the one before is paid for', async () => {
    const clock = fakeClock()
    const rate = createRate({ maxInstancesPerSecond: null, maxBytesPerSecond: 1_000 }, clock)
    for (const bytes of [500, 4_000, 100]) {
      await rate.turn(never)
      rate.spent(bytes)
    }
    expect(clock.now()).toBe(5_500)
  })

  it('sends away who waits at a stop, and goes on for the others', async () => {
    const clock = fakeClock()
    const rate = createRate({ maxInstancesPerSecond: 1, maxBytesPerSecond: null }, clock)
    await rate.turn(never)
    await expect(rate.turn(AbortSignal.abort(new Error('stopping')))).rejects.toThrow('stopping')
    await rate.turn(never)
    expect(clock.now()).toBe(2_000)
  })

  it('costs nothing where there is none', async () => {
    const clock = fakeClock()
    const rate = createRate({ maxInstancesPerSecond: null, maxBytesPerSecond: null }, clock)
    for (let i = 0; i < 100; i++) {
      await rate.turn(never)
      rate.spent(1_000_000)
    }
    expect(clock.now()).toBe(1_000)
  })
})
