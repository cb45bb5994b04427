import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { topics } from '../../schemas/topics.ts'
import { HandClock } from '../../tests/harness/hand-clock.ts'
import { feedback, platform, probesPerTest, stageOf } from '../../tests/harness/probes.ts'
import { until } from '../../tests/harness/until.ts'
import { compile } from '../compile.ts'
import { run } from '../runner.ts'
import { defineStage } from '../stage.ts'
import { Aside } from './aside.ts'

/** Of those who come first: since when they rest, which the test says. */
function opened({ free = 100, longestMs = 10_000 } = {}) {
  const clock = new HandClock()
  const begun: string[] = []
  const state = { resting: undefined as number | undefined, free }
  const aside = new Aside<string>({
    ...{ clock, longestMs },
    restingSince: () => state.resting,
    free: () => state.free - begun.length,
    begin: one => void begun.push(one),
  })
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 10) {
      clock.move(10)
      await new Promise(resolve => setImmediate(resolve))
    }
  }
  const rest = () => {
    state.resting = clock.now()
  }
  return { clock, begun, state, aside, pass, rest }
}

describe('what may wait', () => {
  it('begins at once where nobody comes first', () => {
    const { aside, begun, state, clock } = opened()
    state.resting = Number.NEGATIVE_INFINITY
    aside.hold('a', clock.now())
    expect(begun).toEqual(['a'])
    expect(clock.sleeping).toEqual([])
  })

  it('waits while others have work in hand, and through the gaps between two pieces of it, until they pause', async () => {
    const { aside, begun, state, clock, pass, rest } = opened()
    aside.hold('a', clock.now())
    aside.hold('b', clock.now())
    await pass(1_000)
    rest()
    await pass(10)
    expect(begun).toEqual([])
    state.resting = undefined
    await pass(200)
    expect(begun).toEqual([])
    rest()
    await pass(150)
    expect(begun).toEqual(['a', 'b'])
    expect(clock.sleeping).toEqual([])
  })

  it('waits for no longer than it may, under endless load', async () => {
    const { aside, begun, clock, pass } = opened({ longestMs: 10_000 })
    aside.hold('a', clock.now())
    await pass(5_000)
    aside.hold('b', clock.now())
    await pass(4_900)
    expect(begun).toEqual([])
    await pass(150)
    expect(begun).toEqual(['a'])
    await pass(5_000)
    expect(begun).toEqual(['a', 'b'])
  })

  it('that is old already when it is read, or newer than the clock, waits for nobody', () => {
    const { aside, begun, clock } = opened({ longestMs: 10_000 })
    aside.hold('old', clock.now() - 10_000)
    aside.hold('from tomorrow', clock.now() + 86_400_000)
    expect(begun).toEqual(['old', 'from tomorrow'])
    aside.close()
  })

  it('takes no more places than are free, and the next when one is', () => {
    const { aside, begun, clock, state } = opened({ free: 2 })
    state.resting = 0
    for (const name of ['a', 'b', 'c']) aside.hold(name, clock.now())
    expect(begun).toEqual(['a', 'b'])
    state.free = 3
    aside.look()
    expect(begun).toEqual(['a', 'b', 'c'])
  })

  it('that is closed begins nothing, and keeps no timer', async () => {
    const { aside, begun, clock, pass } = opened()
    aside.hold('a', clock.now())
    aside.close()
    await pass(20_000)
    expect(begun).toEqual([])
    expect(clock.sleeping).toEqual([])
  })
})

describe('a stage whose events may wait', () => {
  const on = probesPerTest()

  let [now, most] = [0, 0]

  /** Reads the same events as the probe, which comes first. */
  const patient = (seen: string[], longestMs: number) =>
    defineStage({
      name: 'patient',
      role: 'consumer',
      summary: 'for tests',
      reads: [topics.feedback],
      writes: [],
      needs: [],
      config: z.strictObject({}),
      givesWay: () => ({ topics: [topics.feedback], to: ['probe'], longestMs, places: 2 }),
      open: async () => ({
        async handle({ event }) {
          most = Math.max(most, ++now)
          await new Promise(resolve => setImmediate(resolve))
          now--
          seen.push(event.id)
        },
      }),
    })

  async function both(longestMs: number) {
    const seen: string[] = []
    const done: string[] = []
    const release = Promise.withResolvers<void>()
    const probe = stageOf(async event => {
      await release.promise
      done.push(event.id)
    })
    on.running = await run(compile([probe, patient(seen, longestMs)], {}), on.ports(), platform)
    const committed = async () => (await on.log.lag('patient')).reduce((sum, one) => sum + one.committed, 0)
    return { seen, done, release, committed }
  }

  it('is handed them when the other is through with its own, and loses none', async () => {
    await on.append(...[1, 2, 3, 4, 5].map(n => feedback(n, 'one')))
    const { seen, done, release, committed } = await both(600_000)
    await until('the other has them', () => on.running?.pending().probe === 5)
    await until('they were read', () => on.running?.pending().patient === 5)
    expect(seen).toEqual([])
    release.resolve()
    await until('all are handed over', () => seen.length === 5)
    expect(done).toHaveLength(5)
    // So many at once as it has places for them.
    expect(most).toBe(2)
    await until('and committed', async () => (await committed()) === 5)
  })

  it('is handed them in the end where the other never is', async () => {
    await on.append(feedback(1), feedback(2))
    const { seen, done, release } = await both(300)
    await until('all are handed over', () => seen.length === 2)
    expect(done).toEqual([])
    release.resolve()
  })

  it('that is stopped while they wait reads them again', async () => {
    await on.append(feedback(1), feedback(2))
    const first = await both(600_000)
    await until('they were read', () => on.running?.pending().patient === 2)
    const stopping = on.running?.stop()
    first.release.resolve()
    await stopping
    expect(first.seen).toEqual([])
    const { seen, release } = await both(0)
    await until('all are handed over', () => seen.length === 2)
    release.resolve()
  })
})
