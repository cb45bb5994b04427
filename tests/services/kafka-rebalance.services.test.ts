/** Members of a group in processes of their own, under load: they come, leave in order, and are killed. */
import { type ChildProcess, spawn } from 'node:child_process'
import { loadavg } from 'node:os'
import { createInterface } from 'node:readline'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { KafkaLog } from '../../kafka/kafkajs/log.ts'
import { unique } from '../contract/log-kit.ts'
import { until } from '../harness/until.ts'
import { type Load, openLog, seconds, startLoad } from './kafka-kit.ts'
import { type Kafka, startKafka } from './servers/kafka.ts'

const said = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('record'), at: z.number(), n: z.number(), partition: z.number(), offset: z.number() }),
  z.object({ kind: z.literal('assigned'), at: z.number(), partitions: z.array(z.number()) }),
  z.object({ kind: z.literal('revoked'), at: z.number(), partitions: z.array(z.number()), handling: z.number() }),
  z.object({ kind: z.literal('failed'), at: z.number(), message: z.string() }),
  z.object({ kind: z.literal('stopping'), at: z.number() }),
  z.object({ kind: z.literal('stopped'), at: z.number() }),
])
type Said = z.infer<typeof said>

interface Member {
  child: ChildProcess
  said: Said[]
  owned: Set<number>
  exited: Promise<void>
}

const partitions = 6
const sessionTimeoutMs = 6_000

describe('a group under load', () => {
  let kafka: Kafka
  let log: KafkaLog
  let load: Load
  let topic: string
  let group: string
  let members: Member[] = []
  beforeAll(async () => {
    kafka = await startKafka()
    log = await openLog(kafka)
  })
  afterAll(async () => {
    await log?.close()
    await kafka?.[Symbol.asyncDispose]()
  })
  afterEach(async () => {
    for (const { child } of members) child.kill('SIGKILL')
    await Promise.all(members.map(({ exited }) => exited))
    members = []
  })

  async function begin(): Promise<void> {
    topic = unique('rebalance')
    group = unique('g')
    await log.ensureTopics([{ name: topic, partitions, retention: { maxAgeMs: null, maxBytes: null } }])
    load = startLoad(log, topic, { perSecond: 200 })
  }

  function start(over: object = {}): Member {
    const options = { brokers: kafka.brokers, group, topic, sessionTimeoutMs, ...over }
    const child = spawn(process.execPath, ['tests/services/kafka-member.ts', JSON.stringify(options)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const member: Member = {
      child,
      said: [],
      owned: new Set(),
      exited: new Promise(resolve => child.once('exit', () => resolve())),
    }
    createInterface({ input: child.stdout }).on('line', line => {
      const event = said.parse(JSON.parse(line))
      member.said.push(event)
      if (event.kind === 'assigned') for (const partition of event.partitions) member.owned.add(partition)
      if (event.kind === 'revoked') for (const partition of event.partitions) member.owned.delete(partition)
    })
    members.push(member)
    return member
  }

  const shared = (...among: Member[]) =>
    until(
      `${among.length} members share the partitions`,
      () => {
        const owned = among.flatMap(member => [...member.owned])
        return owned.length === partitions && among.every(member => member.owned.size > 0)
      },
      { deadlineMs: 60_000, everyMs: 5 },
    )

  const records = () => members.flatMap(member => member.said.filter(event => event.kind === 'record'))

  /** When each of these partitions was read by one of `others` again. */
  async function tookOver(from: number, others: readonly Member[]): Promise<number> {
    const firstAfter = (partition: number) =>
      others
        .flatMap(member => member.said)
        .filter(event => event.kind === 'record' && event.partition === partition && event.at >= from)
        .map(({ at }) => at)
        .sort((a, b) => a - b)[0]
    await until('every partition is read', () => everyPartition.every(p => firstAfter(p) !== undefined), { everyMs: 5 })
    return Math.max(...everyPartition.map(p => firstAfter(p) ?? Number.POSITIVE_INFINITY)) - from
  }
  /** The longest time between two records that any member read from `from` on, ms. */
  function longestGap(from: number): number {
    const times = [
      from,
      ...records()
        .map(({ at }) => at)
        .filter(at => at > from),
    ].sort((a, b) => a - b)
    return Math.max(...times.slice(1).map((at, index) => at - (times[index] ?? at)))
  }
  const measured = (what: string, took: number, from: number, twice: number) =>
    console.log(
      `${what}: every partition read by the other after ${seconds(took)}, nothing read for ${seconds(longestGap(from))} ` +
        `at most, ${twice} of ${load.acked.size} records read twice; load ${loadavg()[0]?.toFixed(0)}`,
    )
  const everyPartition = Array.from({ length: partitions }, (_, partition) => partition)

  /** @returns how many were read twice */
  async function nothingLost(): Promise<number> {
    await load.stop()
    const missing = () => {
      const read = new Set(records().map(({ n }) => n))
      return [...load.acked.keys()].filter(n => !read.has(n))
    }
    await until('all is read', () => missing().length === 0, { deadlineMs: 60_000 })
    expect(missing()).toEqual([])
    return records().length - new Set(records().map(({ n }) => n)).size
  }

  /** The owners of a partition one after the other: nobody reads what the one before still handled. */
  function drainsFirst(): void {
    for (const member of members)
      for (const event of member.said) if (event.kind === 'revoked') expect(event.handling).toBe(0)
    for (const partition of everyPartition) {
      const reads = records()
        .filter(event => event.partition === partition)
        .sort((a, b) => a.at - b.at)
      const offsets = reads.map(({ offset }) => offset)
      expect(offsets).toEqual(offsets.toSorted((a, b) => a - b))
    }
  }

  it('shares its partitions with each that comes, and each drains before the next owner reads', async () => {
    await begin()
    // None of them is taken for dead while the machine stands still.
    const one = () => start({ handleMs: 1, sessionTimeoutMs: 30_000 })
    const first = one()
    await shared(first)
    const second = one()
    await shared(first, second)
    const third = one()
    await shared(first, second, third)
    const twice = await nothingLost()
    drainsFirst()
    console.log(`1, 2, 3 members: ${load.acked.size} records, ${twice} read twice`)
    expect(twice).toBe(0)
  })

  it('goes on without the session timeout when a member leaves in order', async () => {
    await begin()
    const long = { sessionTimeoutMs: 60_000 }
    const [stays, leaves] = [start(long), start(long)]
    await shared(stays, leaves)
    await until('both read', () => [stays, leaves].every(({ said }) => said.length > 200))
    const asked = Date.now()
    leaves.child.kill('SIGTERM')
    await shared(stays)
    const took = await tookOver(asked, [stays])
    await leaves.exited
    const twice = await nothingLost()
    drainsFirst()
    measured('a member left in order', took, asked, twice)
    expect(twice).toBe(0)
    // 1 s on a machine that does nothing else; the figure above is the measurement.
    expect(took).toBeLessThan(30_000)
  })

  it('goes on soon after the session timeout when a member is killed', async () => {
    await begin()
    const [stays, dies] = [start(), start()]
    await shared(stays, dies)
    await until('both read', () => [stays, dies].every(({ said }) => said.length > 200))
    const killed = Date.now()
    dies.child.kill('SIGKILL')
    await until('the other has all', () => stays.owned.size === partitions, { deadlineMs: 60_000, everyMs: 5 })
    const took = await tookOver(killed, [stays])
    const twice = await nothingLost()
    measured(`a member was killed, session timeout ${seconds(sessionTimeoutMs)}`, took, killed, twice)
    // Three seconds after it on a machine that does nothing else; the figure above is the measurement.
    expect(took).toBeLessThan(sessionTimeoutMs + 30_000)
    // What was handled and not committed: at most one chunk of 20 for each of its partitions.
    expect(twice).toBeLessThanOrEqual(20 * partitions)
  })

  it.each(['SIGKILL', 'SIGTERM'] as const)(
    'notices nothing when a member with a name of its own is ended by %s and soon back',
    async signal => {
      await begin()
      // Longer than a busy machine takes to start a process.
      const named = (instanceId: string) => start({ instanceId, sessionTimeoutMs: 30_000 })
      const stays = named('stays')
      const ends = named('comes-back')
      await shared(stays, ends)
      await until('both read', () => [stays, ends].every(({ said }) => said.length > 200))
      const revocations = () => stays.said.filter(({ kind }) => kind === 'revoked').length
      const before = revocations()
      const share = [...ends.owned].sort()
      const gone = Date.now()
      ends.child.kill(signal)
      await ends.exited
      const back = named('comes-back')
      await until('it has its partitions again', () => back.owned.size === share.length, { everyMs: 5 })
      const took = Date.now() - gone
      expect([...back.owned].sort()).toEqual(share)
      const twice = await nothingLost()
      console.log(`${signal}, and back under its name: partitions again after ${seconds(took)}, ${twice} read twice`)
      expect(revocations()).toBe(before)
      if (signal === 'SIGTERM') expect(twice).toBe(0)
    },
  )

  it('has new partitions read after a member with a name, who led, came back', async () => {
    await begin()
    const leads = start({ instanceId: 'leads' })
    await shared(leads)
    leads.child.kill('SIGKILL')
    await leads.exited
    const back = start({ instanceId: 'leads' })
    await shared(back)
    await log.ensureTopics([{ name: topic, partitions: partitions + 2, retention: { maxAgeMs: null, maxBytes: null } }])
    await until('it has the new ones', () => back.owned.size === partitions + 2, { deadlineMs: 60_000 })
    await nothingLost()
  })

  it('ends the older of two members with one name, and says why', async () => {
    await begin()
    const older = start({ instanceId: 'the-same' })
    await shared(older)
    const newer = start({ instanceId: 'the-same' })
    await until('the older one fails', () => older.said.some(({ kind }) => kind === 'failed'))
    expect(older.said).toContainEqual(expect.objectContaining({ message: expect.stringContaining('kafka.instanceId') }))
    await shared(newer)
    await nothingLost()
    expect(newer.said.filter(({ kind }) => kind === 'failed')).toEqual([])
  })
})
