import { describe, expect, it } from 'vitest'
import { Scheduler } from './scheduler.ts'

/** Tasks that end when told to, and a record of how many ran at once. */
function workshop(scheduler: Scheduler) {
  const started: string[] = []
  const ends = new Map<string, () => void>()
  let most = 0
  return {
    started,
    most: () => most,
    submit(key: string, name: string) {
      scheduler.submit(key, () => {
        started.push(name)
        most = Math.max(most, scheduler.running)
        return new Promise<void>(resolve => ends.set(name, resolve))
      })
    },
    async end(name: string) {
      ends.get(name)?.()
      await new Promise(resolve => setImmediate(resolve))
    },
  }
}

describe('the scheduler', () => {
  it('runs one task of a key at a time and in order, and other keys beside it', async () => {
    const shop = workshop(new Scheduler({ limit: 10, byKey: true }))
    shop.submit('a', 'a1')
    shop.submit('a', 'a2')
    shop.submit('b', 'b1')
    expect(shop.started).toEqual(['a1', 'b1'])
    await shop.end('a1')
    expect(shop.started).toEqual(['a1', 'b1', 'a2'])
  })

  it('never runs more than its limit, and goes on with the next that may start', async () => {
    const shop = workshop(new Scheduler({ limit: 2, byKey: true }))
    for (const name of ['a', 'b', 'c', 'd']) shop.submit(name, name)
    expect(shop.started).toEqual(['a', 'b'])
    await shop.end('b')
    await shop.end('c')
    expect(shop.started).toEqual(['a', 'b', 'c', 'd'])
    expect(shop.most()).toBe(2)
  })

  it('runs tasks of one key side by side where keys do not matter', () => {
    const shop = workshop(new Scheduler({ limit: 3, byKey: false }))
    for (const name of ['1', '2', '3', '4']) shop.submit('same', name)
    expect(shop.started).toEqual(['1', '2', '3'])
  })

  it('keeps the order of each key over thousands of tasks of random length', async () => {
    const scheduler = new Scheduler({ limit: 8, byKey: true })
    const seen = new Map<string, number[]>()
    await new Promise<void>(resolve => {
      let left = 5_000
      for (let i = 0; i < 5_000; i++) {
        const key = `k${(i * 7919) % 37}`
        scheduler.submit(key, async () => {
          for (let turn = 0; turn < (i * 31) % 4; turn++) await Promise.resolve()
          seen.set(key, [...(seen.get(key) ?? []), i])
          if (--left === 0) resolve()
        })
      }
    })
    for (const order of seen.values()) expect(order).toEqual([...order].sort((a, b) => a - b))
  })
})
