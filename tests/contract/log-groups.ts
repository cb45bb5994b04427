/** The part of the log contract that is about consumer groups. */
import { describe, expect, it } from 'vitest'
import type { EventLog, Gap, TopicPartition } from '../../kafka/log.ts'
import { ascending, type Collector, collect, newTopic, numbered, placeOf, range, unique, until } from './log-kit.ts'

export interface Reopenable {
  log(): EventLog
  reopen(): Promise<EventLog>
  forget(topic: string, before: number): Promise<void>
}

/** A key for each partition of the topic. */
async function keyOfEach(log: EventLog, topic: string, partitions: number): Promise<string[]> {
  const keys = new Map<number, string>()
  for (let n = 0; keys.size < partitions; n++) {
    const [position] = await log.append([numbered(topic, -1, `k${n}`)])
    if (position && !keys.has(position.partition)) keys.set(position.partition, `k${n}`)
  }
  return range(0, partitions).map(partition => keys.get(partition) ?? '')
}

const live = (collector: Collector) => collector.numbers().filter(n => n >= 0)

export function groupsContract({ log, reopen, forget }: Reopenable): void {
  describe('groups', () => {
    it('gives a new group everything from the beginning, or only what comes later', async () => {
      const topic = await newTopic(log())
      await log().append(range(0, 10).map(n => numbered(topic, n)))
      const first = await collect(log(), { group: unique('g'), topics: [topic], from: 'earliest' })
      const later = await collect(log(), { group: unique('g'), topics: [topic], from: 'latest' })
      await until('partitions for both', () => first.assignment().length === 3 && later.assignment().length === 3)
      await log().append(range(10, 20).map(n => numbered(topic, n)))
      await until('all records', () => first.records.length >= 20 && later.records.length >= 10)
      expect(ascending(first.numbers())).toEqual(range(0, 20))
      expect(ascending(later.numbers())).toEqual(range(10, 20))
      await Promise.all([first.close(), later.close()])
    })

    it('goes on after the committed offset, and gives again what was not committed, when it is opened again', async () => {
      const topic = await newTopic(log(), 1)
      const group = unique('g')
      await log().append(range(0, 10).map(n => numbered(topic, n)))
      const before = await collect(log(), { group, topics: [topic], from: 'earliest' })
      await until('ten records', () => before.records.length === 10)
      await before.commit([{ topic, partition: 0, offset: 6 }])
      await reopen()
      const after = await collect(log(), { group, topics: [topic], from: 'earliest' })
      await until('four records', () => after.records.length >= 4)
      expect(after.numbers()).toEqual([6, 7, 8, 9])
      await after.commitAll()
      await after.close()
      const last = await collect(log(), { group, topics: [topic], from: 'earliest' })
      await until('its partition', () => last.assignment().length === 1)
      await log().append([numbered(topic, 10)])
      await until('the new record', () => last.records.length >= 1)
      expect(last.numbers()).toEqual([10])
      await last.close()
    })

    it('shares the partitions among the members, each with one owner', async () => {
      const topic = await newTopic(log(), 4)
      const group = unique('g')
      const members = await Promise.all(
        range(0, 2).map(() => collect(log(), { group, topics: [topic], from: 'earliest' })),
      )
      await until('two partitions each', () => members.every(member => member.assignment().length === 2))
      const owned = members.flatMap(member => member.assignment().map(placeOf))
      expect(new Set(owned).size).toBe(4)
      const keys = await keyOfEach(log(), topic, 4)
      await log().append(range(0, 40).map(n => numbered(topic, n, keys[n % 4])))
      await until('40 records', () => members.flatMap(live).length >= 40)
      expect(ascending(members.flatMap(live))).toEqual(range(0, 40))
      for (const member of members) expect(live(member)).toHaveLength(20)
      await Promise.all(members.map(member => member.close()))
    })

    it('lets a member finish and commit before another gets its partition', async () => {
      const topic = await newTopic(log(), 2)
      const group = unique('g')
      const keys = await keyOfEach(log(), topic, 2)
      await log().append(range(0, 20).map(n => numbered(topic, n, keys[n % 2])))
      const release = Promise.withResolvers<void>()
      const events: string[] = []
      const first = await collect(
        log(),
        { group, topics: [topic], from: 'earliest' },
        {
          async revoked() {
            events.push('asked to let go')
            await release.promise
            await first.commitAll()
            events.push('let go')
          },
        },
      )
      await until('all records', () => live(first).length === 20)
      const second = await collect(
        log(),
        { group, topics: [topic], from: 'earliest' },
        { assigned: partitions => void (partitions.length > 0 && events.push('other has it')) },
      )
      await until('the request to let go', () => events.length > 0)
      expect(second.assignment()).toEqual([])
      release.resolve()
      await until('a partition for the second', () => second.assignment().length === 1)
      await until('a partition for the first', () => first.assignment().length === 1)
      await log().append(range(20, 30).map(n => numbered(topic, n, keys[n % 2])))
      await until('the rest', () => live(first).length + live(second).length >= 30)
      expect(live(second)).toHaveLength(5)
      expect(ascending([...live(first), ...live(second)])).toEqual(range(0, 30))
      expect(events.indexOf('let go')).toBeLessThan(events.indexOf('other has it'))
      await Promise.all([first.close(), second.close()])
    })

    it('gives what a member left uncommitted to the next', async () => {
      const topic = await newTopic(log(), 1)
      const group = unique('g')
      await log().append(range(0, 5).map(n => numbered(topic, n)))
      const leaves = await collect(log(), { group, topics: [topic], from: 'earliest' })
      await until('five records', () => leaves.records.length === 5)
      await leaves.commit([{ topic, partition: 0, offset: 2 }])
      await leaves.close()
      const next = await collect(log(), { group, topics: [topic], from: 'earliest' })
      await until('three records', () => next.records.length >= 3)
      expect(next.numbers()).toEqual([2, 3, 4])
      await next.close()
    })

    it('tells a member whose handler throws that it has failed, and gives its partition to another', async () => {
      const topic = await newTopic(log(), 1)
      const group = unique('g')
      let failure: Error | undefined
      const dies = await collect(
        log(),
        { group, topics: [topic], from: 'earliest' },
        {
          records() {
            throw new Error('cannot go on')
          },
          failed(error) {
            failure = error
          },
        },
      )
      await until('its partition', () => dies.assignment().length === 1)
      await log().append([numbered(topic, 1)])
      await until('the failure', () => failure !== undefined)
      expect(failure?.message).toContain('cannot go on')
      const next = await collect(log(), { group, topics: [topic], from: 'earliest' })
      await until('the record', () => next.records.length === 1)
      expect(next.numbers()).toEqual([1])
      await Promise.all([next.close(), dies.close()])
    })

    it('leaves out commits of partitions that a member does not have', async () => {
      const topic = await newTopic(log(), 2)
      const group = unique('g')
      const keys = await keyOfEach(log(), topic, 2)
      const members = await Promise.all(
        range(0, 2).map(() => collect(log(), { group, topics: [topic], from: 'earliest' })),
      )
      await until('one partition each', () => members.every(member => member.assignment().length === 1))
      await log().append(range(0, 10).map(n => numbered(topic, n, keys[n % 2])))
      await until('all records', () => members.flatMap(live).length === 10)
      const [mine, other] = members.map(member => member.assignment()[0])
      const high = (of: TopicPartition | undefined) => ({ ...(of ?? { topic, partition: 0 }), offset: 3 })
      await members[0]?.commit([high(mine), high(other)])
      const committed = new Map((await log().lag(group)).map(each => [placeOf(each), each.committed]))
      expect(committed.get(placeOf(high(mine)))).toBe(3)
      expect(committed.get(placeOf(high(other))) ?? 0).toBe(0)
      await Promise.all(members.map(member => member.close()))
    })

    it('holds back a paused partition and goes on with it where it stopped', async () => {
      const topic = await newTopic(log(), 2)
      const group = unique('g')
      const keys = await keyOfEach(log(), topic, 2)
      const member = await collect(log(), { group, topics: [topic], from: 'latest', maxRecords: 3 })
      await until('its partitions', () => member.assignment().length === 2)
      member.pause([{ topic, partition: 0 }])
      await log().append(range(0, 20).map(n => numbered(topic, n, keys[n % 2])))
      await until('the other partition', () => live(member).filter(n => n % 2 === 1).length === 10)
      expect(live(member).filter(n => n % 2 === 0)).toEqual([])
      member.resume([{ topic, partition: 0 }])
      await until('all', () => live(member).length >= 20)
      expect(live(member).filter(n => n % 2 === 0)).toEqual(range(0, 10).map(n => n * 2))
      await member.close()
    })

    it('stops within a chunk boundary when the subscriber pauses from its own handler', async () => {
      const topic = await newTopic(log(), 1)
      const group = unique('g')
      const at = [{ topic, partition: 0 }]
      const member: Collector = await collect(
        log(),
        { group, topics: [topic], from: 'earliest', maxRecords: 5 },
        { records: () => member.pause(at) },
      )
      await until('its partition', () => member.assignment().length === 1)
      await log().append(range(0, 20).map(n => numbered(topic, n)))
      for (const round of range(1, 4)) {
        await until('some records', () => member.records.length >= round)
        const got = member.records.length
        await log().append([numbered(topic, 19 + round)])
        expect(member.records.length).toBe(got)
        member.resume(at)
        await until('more records', () => member.records.length > got)
      }
      expect(member.numbers()).toEqual(range(0, member.records.length))
      await member.close()
    })

    it('says how far a group is behind', async () => {
      const topic = await newTopic(log(), 1)
      const group = unique('g')
      await log().append(range(0, 10).map(n => numbered(topic, n)))
      const member = await collect(log(), { group, topics: [topic], from: 'earliest' })
      await until('ten records', () => member.records.length === 10)
      await member.commit([{ topic, partition: 0, offset: 4 }])
      expect(await log().lag(group)).toEqual([{ topic, partition: 0, committed: 4, high: 10, lag: 6 }])
      expect(await log().groups()).toContain(group)
      await member.close()
      await reopen()
      expect(await log().lag(group)).toEqual([{ topic, partition: 0, committed: 4, high: 10, lag: 6 }])
    })

    it('tells a group that was further behind than retention how many records it will never get', async () => {
      const topic = await newTopic(log(), 1)
      const group = unique('g')
      await log().append(range(0, 10).map(n => ({ ...numbered(topic, n), timestamp: n })))
      await log().append(range(10, 15).map(n => numbered(topic, n)))
      await log().seek(group, [{ topic, partition: 0, offset: 4 }])
      await forget(topic, 10)
      const gaps: Gap[] = []
      const missed = (gap: Gap) => void gaps.push(gap)
      const behind = await collect(log(), { group, topics: [topic], from: 'earliest' }, { missed })
      const fresh = await collect(log(), { group: unique('g'), topics: [topic], from: 'earliest' }, { missed })
      await until('what is left', () => behind.records.length >= 5 && fresh.records.length >= 5)
      expect([behind.numbers(), fresh.numbers()]).toEqual([range(10, 15), range(10, 15)])
      expect(gaps).toEqual([{ topic, partition: 0, from: 4, to: 10 }])
      await Promise.all([behind.close(), fresh.close()])
    })

    it('moves a group only while it has no members', async () => {
      const topic = await newTopic(log(), 1)
      const group = unique('g')
      await log().append(range(0, 10).map(n => numbered(topic, n)))
      await log().seek(group, [{ topic, partition: 0, offset: 8 }])
      const member = await collect(log(), { group, topics: [topic], from: 'earliest' })
      await until('two records', () => member.records.length >= 2)
      expect(member.numbers()).toEqual([8, 9])
      await expect(log().seek(group, [{ topic, partition: 0, offset: 0 }])).rejects.toMatchObject({
        code: 'bad-request',
      })
      await member.close()
      await log().seek(group, [{ topic, partition: 0, offset: 5 }])
      const again = await collect(log(), { group, topics: [topic], from: 'latest' })
      await until('five records', () => again.records.length >= 5)
      expect(again.numbers()).toEqual(range(5, 10))
      await again.close()
    })

    it('never calls a subscriber twice at once, whatever comes and goes', async () => {
      const topic = await newTopic(log(), 4)
      const group = unique('g')
      const first = await collect(log(), { group, topics: [topic], from: 'earliest', maxRecords: 2 })
      const appends = range(0, 40).map(n => log().append([numbered(topic, n)]))
      const second = await collect(log(), { group, topics: [topic], from: 'earliest', maxRecords: 2 })
      await Promise.all(appends)
      await until('both have partitions', () => second.assignment().length === 2 && first.assignment().length === 2)
      await second.close()
      await until('the first has all', () => first.assignment().length === 4)
      await until('everything at least once', () => new Set([...first.numbers(), ...second.numbers()]).size === 40)
      expect(first.overlaps() + second.overlaps()).toBe(0)
      await first.close()
    })
  })
}
