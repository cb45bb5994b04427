import { describe, expect, it } from 'vitest'
import { assign } from './assign.ts'

const member = (memberId: string, ...topics: string[]) => ({ memberId, topics })
const sizes = (shares: ReturnType<typeof assign>) => [...shares.values()].map(share => share.length)

describe('sharing partitions', () => {
  it('gives every partition to exactly one member that reads its topic', () => {
    const shares = assign(
      [member('b', 'x', 'y'), member('a', 'x')],
      new Map([
        ['x', 5],
        ['y', 2],
      ]),
    )
    const all = [...shares.values()].flat().map(({ topic, partition }) => `${topic}/${partition}`)
    expect(all.toSorted()).toEqual(['x/0', 'x/1', 'x/2', 'x/3', 'x/4', 'y/0', 'y/1'])
    expect(shares.get('a')?.every(({ topic }) => topic === 'x')).toBe(true)
  })

  it('shares evenly, and leaves members without work where there are too many', () => {
    expect(sizes(assign([member('a', 'x'), member('b', 'x')], new Map([['x', 4]])))).toEqual([2, 2])
    expect(sizes(assign([member('a', 'x'), member('b', 'x'), member('c', 'x')], new Map([['x', 2]])))).toEqual([
      1, 1, 0,
    ])
  })

  it('does not depend on the order in which members are listed', () => {
    const members = [member('b', 'x'), member('a', 'x'), member('c', 'x')]
    const partitions = new Map([['x', 7]])
    const sorted = (shares: ReturnType<typeof assign>) => [...shares].toSorted(([a], [b]) => (a < b ? -1 : 1))
    expect(sorted(assign(members, partitions))).toEqual(sorted(assign(members.toReversed(), partitions)))
  })

  it('does not count a topic that is not there', () => {
    expect(sizes(assign([member('a', 'x')], new Map([['x', 0]])))).toEqual([0])
  })
})
