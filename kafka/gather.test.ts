import { setImmediate as turn } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { type Clock, systemClock } from '../monitoring/clock.ts'
import { RaylogError } from '../schemas/errors.ts'
import { gathering } from './gather.ts'
import type { NewRecord } from './log.ts'

const record = (key: string): NewRecord => ({ topic: 't', key, value: new Uint8Array() })

/** Over a log that notes what it was given at once, and a clock that is moved by hand. */
function opened({ behind = false, enough = 4, refuses = (_: readonly NewRecord[]): Error | undefined => undefined }) {
  const appends: string[][] = []
  /** Sleeps that have not ended. */
  const asleep: (() => void)[] = []
  async function toLog(records: readonly NewRecord[]) {
    const error = refuses(records)
    if (error) throw error
    appends.push(records.map(({ key }) => key))
  }
  const state = { behind }
  const clock: Clock = { ...systemClock, sleep: () => new Promise(awake => asleep.push(awake)) }
  const append = gathering({ append: toLog, clock, behind: () => state.behind, enough, gatherMs: 20 })
  return {
    appends,
    state,
    append: (key: string) => append([record(key)]),
    /** How many sleep. */
    asleepNow: () => asleep.length,
    /** The first so many sleeps end, and what waited for them has gone on. */
    async moveClock(sleeps = asleep.length) {
      for (const awake of asleep.splice(0, sleeps)) awake()
      await turn()
    },
  }
}

it('appends at once while the stage keeps up', async () => {
  const { append, appends } = opened({})
  await append('a')
  await append('b')
  expect(appends).toEqual([['a'], ['b']])
})

it('lets events wait for each other while the stage is behind, and not for long', async () => {
  const { append, appends, moveClock } = opened({ behind: true })
  const done = Promise.all([append('a'), append('b')])
  expect(appends).toEqual([])
  await moveClock()
  await done
  expect(appends).toEqual([['a', 'b']])
})

it('waits no longer when there are enough, or when the stage has caught up', async () => {
  const { append, appends, state } = opened({ behind: true, enough: 2 })
  await Promise.all([append('a'), append('b')])
  const first = append('c')
  state.behind = false
  await Promise.all([first, append('d')])
  expect(appends).toEqual([
    ['a', 'b'],
    ['c', 'd'],
  ])
})

it('takes along what comes in the same turn as the one that makes it enough', async () => {
  const { append, appends } = opened({ behind: true, enough: 2 })
  await Promise.all(['a', 'b', 'c'].map(append))
  expect(appends).toEqual([['a', 'b', 'c']])
})

it('does not cut the wait of those that come after short, when the time of those that were enough is over', async () => {
  const { append, appends, asleepNow, moveClock } = opened({ behind: true, enough: 2 })
  await Promise.all([append('a'), append('b')])
  const sleeps = asleepNow()
  const later = append('c')
  await moveClock(sleeps)
  await Promise.all([later, append('d')])
  expect(appends).toEqual([
    ['a', 'b'],
    ['c', 'd'],
  ])
})

it("fails one handler alone for a record of its own, and all of them for the log's outage", async () => {
  const tooLarge = (records: readonly NewRecord[]) =>
    records.some(({ key }) => key === 'large') ? new RaylogError('too-large', 'large') : undefined
  const { append, appends } = opened({ behind: true, enough: 2, refuses: tooLarge })
  const outcomes = await Promise.allSettled([append('large'), append('b')])
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
  expect(appends).toEqual([['b']])

  const away = opened({ behind: true, enough: 2, refuses: () => new RaylogError('log-unavailable', 'away') })
  const failed = await Promise.allSettled([away.append('a'), away.append('b')])
  expect(failed.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
})
