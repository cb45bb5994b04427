import { describe, expect, it } from 'vitest'
import { createLookups } from './lookups.ts'

/** A collection of `d1` … whose queries end when told to. */
function collection() {
  const asked: (readonly string[])[] = []
  const ends: ((how: 'found' | Error) => void)[] = []
  const lookups = createLookups(ids => {
    asked.push(ids)
    return new Promise<{ _id: string }[]>((resolve, reject) => {
      ends.push(how =>
        how === 'found' ? resolve(ids.filter(id => id.startsWith('d')).map(_id => ({ _id }))) : reject(how),
      )
    })
  })
  const turn = () => new Promise(resolve => setImmediate(resolve))
  return {
    lookups,
    asked,
    async end(how: 'found' | Error = 'found') {
      await turn()
      ends.shift()?.(how)
      await turn()
    },
  }
}

describe('look-ups', () => {
  it('that are asked for while a query is under way share the next one, each id once', async () => {
    const { lookups, asked, end } = collection()
    const first = lookups.find(['d1'])
    await end()
    expect([...(await first).keys()]).toEqual(['d1'])
    const others = [lookups.find(['d2']), lookups.find(['d2', 'none'])]
    await new Promise(resolve => setImmediate(resolve))
    const late = [lookups.find(['d3']), lookups.find(['d4']), lookups.find(['d3'])]
    await end()
    await end()
    const found = await Promise.all([...others, ...late])
    expect(asked).toEqual([['d1'], ['d2', 'none'], ['d3', 'd4']])
    expect(found.map(one => ['d2', 'd3', 'd4', 'none'].filter(id => one.has(id)))).toEqual([
      ['d2'],
      ['d2'],
      ['d3', 'd4'],
      ['d3', 'd4'],
      ['d3', 'd4'],
    ])
    expect(lookups.queries()).toBe(3)
  })

  it('fail with their query, and those that wait behind it too; the next is asked again', async () => {
    const { lookups, end } = collection()
    const first = lookups.find(['d1'])
    await new Promise(resolve => setImmediate(resolve))
    const behind = lookups.find(['d2'])
    const outcomes = Promise.allSettled([first, behind])
    await end(new Error('away'))
    expect((await outcomes).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    const again = lookups.find(['d1'])
    await end()
    expect((await again).has('d1')).toBe(true)
  })

  it('ask for no more than a thousand ids at once, and never split a call', async () => {
    const { lookups, asked, end } = collection()
    const ids = (count: number, from: number) => Array.from({ length: count }, (_, n) => `d${from + n}`)
    const all = Promise.all([lookups.find(ids(600, 0)), lookups.find(ids(600, 600)), lookups.find(ids(1500, 1200))])
    await end()
    await end()
    await end()
    await all
    expect(asked.map(({ length }) => length)).toEqual([600, 600, 1500])
  })
})
