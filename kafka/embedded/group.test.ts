import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { TopicPartition } from '../log.ts'
import { share } from './group.ts'
import { nameOf } from './state.ts'

const sizes: Record<string, number> = { a: 5, b: 3, c: 1 }
const partitions = (topic: string): TopicPartition[] =>
  Array.from({ length: sizes[topic] ?? 0 }, (_, partition) => ({ topic, partition }))
const newMember = (topics: readonly string[]) => ({ topics, owned: new Map<string, TopicPartition>() })

describe('sharing partitions among members', () => {
  it('gives each partition to one member that reads its topic, and again the same when nothing changed', () => {
    const members = fc.array(fc.subarray(['a', 'b', 'c'], { minLength: 1 }), { minLength: 1, maxLength: 8 })
    fc.assert(
      fc.property(members, lists => {
        const all = lists.map(newMember)
        const first = share(all, partitions)
        const names = [...first].flatMap(([member, given]) => {
          for (const { topic } of given.values()) expect(member.topics).toContain(topic)
          return [...given.keys()]
        })
        const expected = [...new Set(lists.flat())].flatMap(partitions).map(nameOf)
        expect(names.toSorted()).toEqual(expected.toSorted())
        for (const [member, given] of first) member.owned = given
        const again = share(all, partitions)
        for (const [member, given] of again)
          expect([...given.keys()].toSorted()).toEqual([...member.owned.keys()].toSorted())
      }),
    )
  })

  it('leaves members of the same topics at most one partition apart, whoever had what', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 7 }),
        fc.array(fc.nat(6), { minLength: 9, maxLength: 9 }),
        (count, owners) => {
          const all = Array.from({ length: count }, () => newMember(['a', 'b', 'c']))
          for (const [n, partition] of ['a', 'b', 'c'].flatMap(partitions).entries())
            all[(owners[n] ?? 0) % (count + 1)]?.owned.set(nameOf(partition), partition)
          const counts = [...share(all, partitions).values()].map(given => given.size)
          expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1)
        },
      ),
    )
  })

  it('moves no more than it must when a member joins', () => {
    const first = newMember(['a'])
    first.owned = new Map(partitions('a').map(partition => [nameOf(partition), partition]))
    const joins = newMember(['a'])
    const shares = share([first, joins], partitions)
    expect(shares.get(first)?.size).toBe(3)
    expect(shares.get(joins)?.size).toBe(2)
  })
})
