import { describe, expect, it } from 'vitest'
import { Scheduler } from './scheduler.ts'

/** Turns that end when told to, and a record of how many ran at once. */
function workshop({ most = 1, ...options }: { limit: number; byKey: boolean; most?: number }) {
  const started: string[] = []
  const ends = new Map<string, () => void>()
  let peak = 0
  const scheduler: Scheduler<string> = new Scheduler<string>({
    ...options,
    most,
    joins: name => !name.endsWith('!'),
    run(names) {
      const turn = names.join(' ')
      started.push(turn)
      peak = Math.max(peak, scheduler.running)
      return new Promise<void>(resolve => ends.set(turn, resolve))
    },
  })
  return {
    started,
    peak: () => peak,
    submit: (key: string, name: string) => scheduler.submit(key, name),
    async end(name: string) {
      ends.get(name)?.()
      await new Promise(resolve => setImmediate(resolve))
    },
  }
}

describe('the scheduler', () => {
  it('runs one task of a key at a time and in order, and other keys beside it', async () => {
    const shop = workshop({ limit: 10, byKey: true })
    shop.submit('a', 'a1')
    shop.submit('a', 'a2')
    shop.submit('b', 'b1')
    expect(shop.started).toEqual(['a1', 'b1'])
    await shop.end('a1')
    expect(shop.started).toEqual(['a1', 'b1', 'a2'])
  })

  it('never runs more than its limit, and goes on with the next that may start', async () => {
    const shop = workshop({ limit: 2, byKey: true })
    for (const name of ['a', 'b', 'c', 'd']) shop.submit(name, name)
    expect(shop.started).toEqual(['a', 'b'])
    await shop.end('b')
    await shop.end('c')
    expect(shop.started).toEqual(['a', 'b', 'c', 'd'])
    expect(shop.peak()).toBe(2)
  })

  it('runs tasks of one key side by side where keys do not matter', () => {
    const shop = workshop({ limit: 3, byKey: false })
    for (const name of ['1', '2', '3', '4']) shop.submit('same', name)
    expect(shop.started).toEqual(['1', '2', '3'])
  })

  it('gives what waited for its key in one turn, in order, so many at most, and other keys theirs', async () => {
    const shop = workshop({ limit: 2, byKey: true, most: 3 })
    for (const name of ['a1', 'a2', 'a3', 'a4', 'a5']) shop.submit('a', name)
    shop.submit('b', 'b1')
    expect(shop.started).toEqual(['a1', 'b1'])
    await shop.end('a1')
    shop.submit('b', 'b2')
    expect(shop.started).toEqual(['a1', 'b1', 'a2 a3 a4'])
    await shop.end('b1')
    await shop.end('a2 a3 a4')
    expect(shop.started).toEqual(['a1', 'b1', 'a2 a3 a4', 'b2', 'a5'])
  })

  it('gives what may not be joined a turn of its own, in its place', async () => {
    const shop = workshop({ limit: 2, byKey: true, most: 9 })
    for (const name of ['a1!', 'a2', 'a3', 'a4!', 'a5!', 'a6']) shop.submit('a', name)
    for (const turn of ['a1!', 'a2 a3', 'a4!', 'a5!']) await shop.end(turn)
    expect(shop.started).toEqual(['a1!', 'a2 a3', 'a4!', 'a5!', 'a6'])
  })

  it.each([1, 5])('keeps the order of each key over thousands of turns of random length, %i together', async most => {
    const seen = new Map<string, number[]>()
    await new Promise<void>(resolve => {
      let left = 5_000
      const keyOf = (i: number) => `k${(i * 7919) % 37}`
      const scheduler = new Scheduler<number>({
        ...{ limit: 8, byKey: true, most, joins: () => true },
        async run(these) {
          const [first = 0] = these
          for (let turn = 0; turn < (first * 31) % 4; turn++) await Promise.resolve()
          seen.set(keyOf(first), [...(seen.get(keyOf(first)) ?? []), ...these])
          left -= these.length
          if (left === 0) resolve()
        },
      })
      for (let i = 0; i < 5_000; i++) scheduler.submit(keyOf(i), i)
    })
    for (const order of seen.values()) expect(order).toEqual([...order].sort((a, b) => a - b))
  })
})
