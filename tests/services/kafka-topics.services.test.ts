/** Topics by plan, on three brokers: what is done, what is said and not done, and what is done where it is asked for alone. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Admin, Kafka as Client, logLevel } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { KafkaLog } from '../../kafka/kafkajs/log.ts'
import type { LogRecord, Subscription, TopicSpec } from '../../kafka/log.ts'
import { allTopics, topics } from '../../schemas/topics.ts'
import { numbered, range, unique } from '../contract/log-kit.ts'
import { command } from '../harness/command.ts'
import { until } from '../harness/until.ts'
import { openLog } from './kafka-kit.ts'
import { type Kafka, startKafka } from './servers/kafka.ts'

const day = 86_400_000

describe('topics by plan', { timeout: 120_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'raylog-topics-'))
  let kafka: Kafka
  let log: KafkaLog
  let admin: Admin
  beforeAll(async () => {
    kafka = await startKafka(3)
    log = await openLog(kafka)
    admin = new Client({ brokers: kafka.brokers, logLevel: logLevel.NOTHING }).admin()
    await admin.connect()
  }, 120_000)
  afterAll(async () => {
    await admin?.disconnect()
    await log?.close()
    await kafka?.[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true, force: true })
  })

  const spec = (name: string, partitions: number, over: Partial<TopicSpec> = {}): TopicSpec => ({
    ...{ name, partitions, retention: { maxAgeMs: null, maxBytes: null }, ...over },
  })
  const plan = (...specs: TopicSpec[]) => log.planTopics(specs)
  const apply = async (...specs: TopicSpec[]) => log.applyTopics(specs, await plan(...specs))
  async function configs(name: string): Promise<Record<string, string>> {
    const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [{ type: 2, name }] })
    return Object.fromEntries(
      resources.flatMap(({ configEntries }) => configEntries.map(each => [each.configName, each.configValue])),
    )
  }
  /** Brokers hear of it a moment after the one that was asked. */
  async function has(name: string, values: Record<string, string>): Promise<void> {
    let now: Record<string, string> = {}
    const all = async () => {
      now = await configs(name)
      return Object.entries(values).every(([key, value]) => now[key] === value)
    }
    await until(`${name} has ${JSON.stringify(values)}`, all, { deadlineMs: 15_000 }).catch(() => undefined)
    expect(now).toMatchObject(values)
  }
  /** As an operator does, past Raylog. It replaces all that was set on the topic. */
  async function set(name: string, values: Record<string, string>): Promise<void> {
    const configEntries = Object.entries(values).map(([name, value]) => ({ name, value }))
    await admin.alterConfigs({ validateOnly: false, resources: [{ type: 2, name, configEntries }] })
    await has(name, values)
  }
  const raylog = (args: readonly string[], ...settings: string[]) =>
    command([
      ...['--data', folder],
      ...[
        'mode=distributed',
        `kafka.brokers=[${kafka.brokers.join(',')}]`,
        'kafka.replication=3',
        'kafka.registry.url=http://127.0.0.1:9',
        'mongo.url=mongodb://127.0.0.1:1',
        's3={endpoint: "http://127.0.0.1:1", bucket: none, accessKey: none, secretKey: none}',
        ...settings,
      ].flatMap(setting => ['--set', setting]),
      'topics',
      ...args,
    ])

  it('are never more than it says, and keep what others have set', async () => {
    const [made, grown] = [unique('plan'), unique('plan')]
    await log.ensureTopics([spec(grown, 2)])
    await log.append(range(0, 20).map(n => numbered(grown, n)))
    const wanted = [
      spec(made, 3, { retention: { maxAgeMs: day, maxBytes: 1_000_000_000 } }),
      spec(grown, 4, { retention: { maxAgeMs: day, maxBytes: null } }),
    ]
    const planned = await plan(...wanted)
    const shorter = { kind: 'configure', topic: grown, name: 'retention.ms', from: '-1', to: '86400000', loses: true }
    expect(planned).toContainEqual({ kind: 'create', topic: made, partitions: 3 })
    expect(planned).toContainEqual({ kind: 'add-partitions', topic: grown, from: 2, to: 4 })
    expect(planned).toContainEqual(shorter)
    expect(planned).toHaveLength(3)
    expect((await log.topics()).map(({ name }) => name)).not.toContain(made)
    expect((await configs(grown))['retention.ms']).toBe('-1')

    // A start makes and widens; what is configured is changed by "topics apply" alone.
    await log.ensureTopics(wanted)
    expect((await configs(grown))['retention.ms']).toBe('-1')
    await set(grown, { 'segment.ms': '7200000', 'retention.ms': '-1', 'max.message.bytes': '4100000' })
    await apply(...wanted)
    await has(grown, { 'retention.ms': '86400000', 'segment.ms': '7200000' })
    expect(await plan(...wanted)).toEqual([])

    const fewer = spec(grown, 1, { retention: { maxAgeMs: day, maxBytes: null } })
    const reason = expect.stringContaining('never taken away')
    expect(await plan(fewer)).toEqual([{ kind: 'refused', topic: grown, reason }])
    await apply(fewer)
    const info = (await log.topics()).find(({ name }) => name === grown)
    expect(info?.partitions).toBe(4)
    expect(info?.bounds.reduce((sum, { high, low }) => sum + high - low, 0)).toBe(20)
  })

  it('are printed before anything is done, and shorten what is kept only where that is asked for', async () => {
    // Four copies on three brokers cannot be: what was printed was printed before that was tried.
    const impossible = await raylog(['apply'], 'kafka.replication=4')
    expect(impossible.stdout).toMatch(/imaging\.instances\.v1 +to be made +6 partitions/)
    expect(impossible.stderr).toContain('config-invalid')
    expect(impossible.code).toBe(1)
    expect((await log.topics()).map(({ name }) => name)).not.toContain(topics.instances.name)

    const made = await raylog(['apply'])
    expect(made.stdout).toMatch(/imaging\.instances\.v1 +to be made +6 partitions/)
    expect(made.stdout).toContain(`Done: ${allTopics.length} of ${allTopics.length}.`)
    expect(made.code).toBe(0)

    const asked = ['log.retentionDays=30', 'log.maxBytes=5000000000', 'kafka.maxRecordBytes=9000000']
    const cut = /imaging\.instances\.v1 +LOSES RECORDS +retention\.ms: 31536000000 to 2592000000/
    const planned = await raylog(['plan'], ...asked)
    expect(planned.stdout).toMatch(cut)
    expect(planned.stdout).toContain('topics apply --allow-loss')
    expect(planned.code).toBe(1)

    const held = await raylog(['apply'], ...asked)
    expect(held.stdout).toMatch(cut)
    expect(held.stdout).toContain('topics apply --allow-loss')
    expect(held.code).toBe(1)
    const kept = { 'retention.ms': String(365 * day), 'retention.bytes': '-1', 'max.message.bytes': '9100000' }
    await has(topics.instances.name, kept)

    const done = await raylog(['apply', '--allow-loss'], ...asked)
    expect(done.stdout).toMatch(cut)
    expect(done.code).toBe(0)
    const cutDown = { 'retention.ms': String(30 * day), 'retention.bytes': '5000000000' }
    await has(topics.instances.name, cutDown)
    // Longer again costs nothing.
    const longer = await raylog(['apply'], 'kafka.maxRecordBytes=9000000')
    expect(longer.code).toBe(0)
    await has(topics.instances.name, kept)
  })

  it('name another number of copies and what to do, and ask of a topic no more than it has', async () => {
    const topic = unique('copies')
    const alone = await openLog(kafka, { replication: 1 })
    await alone.ensureTopics([spec(topic, 2)])
    const refused = (reason: string) => ({ kind: 'refused', topic, reason: expect.stringContaining(reason) })
    expect(await plan(spec(topic, 2))).toEqual([
      refused('a partition has 1 copy, kafka.replication asks for 3; Kafka makes more'),
    ])
    await apply(spec(topic, 2))
    await has(topic, { 'min.insync.replicas': '1' })
    await log.append(range(0, 20).map(n => numbered(topic, n)))

    const ids = (await admin.describeCluster()).brokers.map(({ nodeId }) => nodeId)
    const partitionAssignment = [0, 1].map(partition => ({ partition, replicas: ids }))
    await admin.alterPartitionReassignments({ topics: [{ topic, partitionAssignment }] })
    await until('every copy follows', async () => {
      const [found] = (await admin.fetchTopicMetadata({ topics: [topic] })).topics
      return found?.partitions.every(({ isr }) => isr.length === 3)
    })
    const change = { kind: 'configure', topic, name: 'min.insync.replicas', from: '1', to: '2', loses: false }
    expect(await plan(spec(topic, 2))).toEqual([change])
    await apply(spec(topic, 2))
    expect(await plan(spec(topic, 2))).toEqual([])
    // An operator may want more copies in sync than we do: that is never lowered.
    await set(topic, { 'retention.ms': '-1', 'max.message.bytes': '4100000', 'min.insync.replicas': '3' })
    expect(await plan(spec(topic, 2))).toEqual([])
    expect(await alone.planTopics([spec(topic, 2)])).toEqual([refused('set kafka.replication to 3')])
    await alone.close()
  })

  it('keep the newest of each key where that is declared, which a group reads over the gaps', async () => {
    const topic = unique('compacted')
    const wanted = spec(topic, 1, { compacted: true })
    await log.ensureTopics([wanted])
    await has(topic, { 'cleanup.policy': 'compact' })
    await set(topic, { 'cleanup.policy': 'compact', 'segment.ms': '200', 'min.cleanable.dirty.ratio': '0.001' })
    await apply(wanted)
    await log.append(range(0, 500).map(n => numbered(topic, n, `key-${n % 10}`)))
    let next = 500
    // A segment that is written to is never compacted, so more must come.
    let all: LogRecord[] = []
    const compacted = async () => {
      await log.append([numbered(topic, next++, 'more')])
      all = await log.read({ topic, partition: 0, offset: 0 }, 10_000)
      return all.filter(({ key }) => key !== 'more').length === 10
    }
    await until('the older ones are gone', compacted, { everyMs: 250 })
    const numbers = (keys: RegExp) => all.filter(({ key }) => keys.test(key)).map(({ value }) => Number(String(value)))
    expect(numbers(/key/).sort()).toEqual(range(490, 500))
    expect((await log.topics()).find(({ name }) => name === topic)).toMatchObject({ compacted: true })

    const group = unique('g')
    const read = new Map<string, number>()
    const subscription: Subscription = await log.subscribe(
      { group, topics: [topic], from: 'earliest' },
      {
        async records(records) {
          for (const { key, value } of records) read.set(key, Number(String(value)))
          const last = records.at(-1)
          if (last) await subscription.commit([{ ...last, offset: last.offset + 1 }])
        },
      },
    )
    await until('it has the last one', () => read.get('more') === next - 1)
    expect([...read.values()].filter(n => n < 500).sort()).toEqual(range(490, 500))
    await until('all is committed', async () => (await log.lag(group)).every(({ lag }) => lag === 0))
    await subscription.close()

    // Away from it and back again: each lets the brokers delete something, unless all is kept.
    const limited = spec(topic, 1, { retention: { maxAgeMs: day, maxBytes: null } })
    const policy = (to: string, loses: boolean) => ({
      topic,
      kind: 'configure',
      name: 'cleanup.policy',
      from: 'compact',
      to,
      loses,
    })
    expect(await plan(limited)).toContainEqual(policy('delete', true))
    expect(await plan({ ...limited, compacted: true })).toContainEqual(policy('compact,delete', true))
    expect(await plan(spec(topic, 1))).toEqual([policy('delete', false)])
    await apply(spec(topic, 1))
    expect(await plan(wanted)).toEqual([{ ...policy('compact', true), from: 'delete' }])
  })
})
