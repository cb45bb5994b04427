/** Topics on the brokers: made where they are missing, widened where asked, never shrunk and never deleted. */
import type { Clock } from '../../monitoring/clock.ts'
import { RaylogError } from '../../schemas/errors.ts'
import type { TopicChange, TopicInfo, TopicSpec } from '../log.ts'
import { patiently } from './faults.ts'
import { LinkError } from './link.ts'
import type { Offsets } from './offsets.ts'
import type { Kafkajs } from './protocol.ts'
import type { Wire } from './wire.ts'

interface Config {
  value: string
  /** Set on the topic itself, not inherited from the broker. */
  own: boolean
}

export interface TopicsOptions {
  wire: Wire
  kafkajs: Kafkajs
  offsets: Offsets
  clock: Clock
  settings: { replication: number; maxRecordBytes: number }
}

/** Kafka's number for a topic among the things that are configured, and for a value that was set on it. */
const topicResource = 2
const ownConfig = 1
const patienceMs = 30_000
const brokerTimeoutMs = 10_000
const answerTimeoutMs = 15_000
/** What a record has around its value: key, headers, the batch's head. Bytes. */
const overheadBytes = 100_000

export function createTopics({ wire, kafkajs, offsets, clock, settings }: TopicsOptions) {
  const patience = { clock, deadlineMs: patienceMs, between: () => wire.refresh() }

  const configOf = ({ retention }: TopicSpec): [string, string][] => [
    ['retention.ms', String(retention.maxAgeMs ?? -1)],
    ['retention.bytes', String(retention.maxBytes ?? -1)],
    ['max.message.bytes', String(settings.maxRecordBytes + overheadBytes)],
    ['cleanup.policy', 'delete'],
    // With one copy missing it goes on; with two it refuses rather than keep the only one.
    ['min.insync.replicas', settings.replication > 2 ? '2' : '1'],
  ]
  const entriesOf = (pairs: Iterable<[string, string]>) => [...pairs].map(([name, value]) => ({ name, value }))

  /** What would have to change. Changes nothing. */
  async function plan(specs: readonly TopicSpec[]): Promise<TopicChange[]> {
    const there = new Set(await patiently(wire.topicNames, patience))
    const changes = await Promise.all(
      specs.map(spec =>
        there.has(spec.name)
          ? differences(spec)
          : [{ kind: 'create' as const, topic: spec.name, partitions: spec.partitions }],
      ),
    )
    return changes.flat()
  }

  async function differences(spec: TopicSpec): Promise<TopicChange[]> {
    const { name: topic, partitions: to } = spec
    const from = await wire.partitionsOf(topic)
    const configs = (await configsOf([topic])).get(topic)
    const reason = `it has ${from} partitions, ${to} are asked for; partitions are never taken away`
    return [
      ...(from < to ? [{ kind: 'add-partitions' as const, topic, from, to }] : []),
      ...(from > to ? [{ kind: 'refused' as const, topic, reason }] : []),
      ...configOf(spec).flatMap(([name, value]) => {
        const now = configs?.get(name)?.value ?? ''
        return now === value ? [] : [{ kind: 'configure' as const, topic, name, from: now, to: value }]
      }),
    ]
  }

  async function configsOf(names: readonly string[]): Promise<Map<string, Map<string, Config>>> {
    const { resources } = await patiently(
      () =>
        wire.ask(link =>
          link.send('DescribeConfigs', {
            includeSynonyms: false,
            resources: names.map(name => ({ type: topicResource, name })),
          }),
        ),
      patience,
    )
    return new Map(
      resources.map(({ resourceName, configEntries }) => [
        resourceName,
        new Map(
          configEntries.map(({ configName, configValue, configSource }) => [
            configName,
            { value: configValue, own: configSource === ownConfig },
          ]),
        ),
      ]),
    )
  }

  async function create(specs: readonly TopicSpec[]): Promise<void> {
    const asked = specs.map(spec => ({
      topic: spec.name,
      numPartitions: spec.partitions,
      replicationFactor: settings.replication,
      configEntries: entriesOf(configOf(spec)),
    }))
    const { topicErrors } = await patiently(
      async () =>
        (await wire.controller()).send(
          'CreateTopics',
          { topics: asked, timeout: brokerTimeoutMs },
          { raw: true, timeoutMs: answerTimeoutMs },
        ),
      patience,
    )
    for (const { topic, errorCode, errorMessage } of topicErrors) refuse(topic, errorCode, errorMessage)
  }

  async function widen(topic: string, count: number): Promise<void> {
    const { topicErrors } = await patiently(
      async () =>
        (await wire.controller()).send(
          'CreatePartitions',
          { topicPartitions: [{ topic, count }], timeout: brokerTimeoutMs },
          { raw: true, timeoutMs: answerTimeoutMs },
        ),
      patience,
    )
    for (const { errorCode, errorMessage } of topicErrors) refuse(topic, errorCode, errorMessage)
  }

  /** @throws RaylogError config-invalid; nothing where another process has just done the same */
  function refuse(topic: string, errorCode: number, message: string | null): void {
    if (errorCode === 0) return
    const error = kafkajs.errorFromCode(errorCode)
    const type = 'type' in error ? String(error.type) : ''
    if (type === 'TOPIC_ALREADY_EXISTS' || /already has/.test(message ?? '')) return
    throw new RaylogError('config-invalid', `topic ${topic}: ${message ?? error.message}`, { cause: error })
  }

  /** The call replaces all that was set on the topic: what was set by others is set again. */
  async function configure(spec: TopicSpec): Promise<void> {
    const now = (await configsOf([spec.name])).get(spec.name) ?? new Map<string, Config>()
    const kept = [...now].flatMap(([name, { value, own }]): [string, string][] => (own ? [[name, value]] : []))
    const configEntries = entriesOf(new Map([...kept, ...configOf(spec)]))
    await patiently(
      async () =>
        (await wire.controller()).send('AlterConfigs', {
          validateOnly: false,
          resources: [{ type: topicResource, name: spec.name, configEntries }],
        }),
      patience,
    )
  }

  /** Until every partition has a leader, and is seen here. */
  async function settled(specs: readonly TopicSpec[]): Promise<void> {
    await patiently(async () => {
      await wire.refresh()
      for (const { name, partitions } of specs) {
        if ((await wire.partitionsOf(name)) < partitions) throw new LinkError(`${name} is not wide yet`)
        for (let partition = 0; partition < partitions; partition++)
          if (wire.leaderOf({ topic: name, partition }) < 0)
            throw new LinkError(`${name}/${partition} has no leader yet`)
      }
    }, patience)
  }

  async function make(specs: readonly TopicSpec[], changes: readonly TopicChange[]): Promise<void> {
    const named = (kind: TopicChange['kind']) => {
      const names = new Set(changes.flatMap(change => (change.kind === kind ? [change.topic] : [])))
      return specs.filter(({ name }) => names.has(name))
    }
    const fresh = named('create')
    const wider = named('add-partitions')
    if (fresh.length > 0) await create(fresh)
    for (const { name, partitions } of wider) await widen(name, partitions)
    for (const spec of named('configure')) await configure(spec)
    await patiently(() => visible([...fresh, ...wider]), patience)
    await settled([...fresh, ...wider])
  }

  /** A broker may hear of a new topic a moment later than the controller. */
  async function visible(specs: readonly TopicSpec[]): Promise<void> {
    const there = new Set(await wire.topicNames())
    const missing = specs.find(({ name }) => !there.has(name))
    if (missing) throw new LinkError(`${missing.name} is not there yet`)
  }

  return {
    plan,
    /** Does what the plan says, but for what it refuses. @returns the plan */
    async apply(specs: readonly TopicSpec[]): Promise<TopicChange[]> {
      const changes = await plan(specs)
      await make(specs, changes)
      return changes
    },
    /** Makes what is missing at a start; what a running system has otherwise is left to `raylog topics apply`. */
    async ensure(specs: readonly TopicSpec[]): Promise<void> {
      for (const { name, partitions } of specs)
        if (!Number.isInteger(partitions) || partitions < 1)
          throw new RaylogError('bad-request', `topic ${name}: ${partitions} is not a number of partitions`)
      const changes = await plan(specs)
      await make(
        specs,
        changes.filter(({ kind }) => kind === 'create' || kind === 'add-partitions'),
      )
    },
    async list(): Promise<TopicInfo[]> {
      const names = (await patiently(wire.topicNames, patience)).filter(name => !name.startsWith('__')).sort()
      if (names.length === 0) return []
      const configs = await configsOf(names)
      return Promise.all(
        names.map(async name => {
          const limit = (key: string) => {
            const value = Number(configs.get(name)?.get(key)?.value ?? -1)
            return value < 0 ? null : value
          }
          const bounds = await offsets.bounds(name)
          const retention = { maxAgeMs: limit('retention.ms'), maxBytes: limit('retention.bytes') }
          return { name, partitions: bounds.length, retention, bounds }
        }),
      )
    },
  }
}
