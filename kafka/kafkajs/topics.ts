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
const inSyncConfig = 'min.insync.replicas'
const patienceMs = 30_000
const brokerTimeoutMs = 10_000
const answerTimeoutMs = 15_000
/** What a record has around its value: key, headers, the batch's head. Bytes. */
const overheadBytes = 100_000

export function createTopics({ wire, kafkajs, offsets, clock, settings }: TopicsOptions) {
  const patience = { clock, deadlineMs: patienceMs, between: () => wire.refresh() }

  const configOf = ({ retention, compacted = false }: TopicSpec, copies: number): [string, string][] => [
    ['retention.ms', String(retention.maxAgeMs ?? -1)],
    ['retention.bytes', String(retention.maxBytes ?? -1)],
    ['max.message.bytes', String(settings.maxRecordBytes + overheadBytes)],
    ['cleanup.policy', !compacted ? 'delete' : isLimited(retention) ? 'compact,delete' : 'compact'],
    // With one copy missing it goes on; with two it refuses rather than keep the only one. More is an operator's choice.
    [inSyncConfig, copies > 2 ? '2' : '1'],
  ]
  const entriesOf = (pairs: Iterable<[string, string]>) => [...pairs].map(([name, value]) => ({ name, value }))

  /** What would have to change. Changes nothing. */
  async function plan(specs: readonly TopicSpec[]): Promise<TopicChange[]> {
    const names = new Set(await patiently(wire.topicNames, patience))
    const there = specs.filter(({ name }) => names.has(name)).map(({ name }) => name)
    const [configs, copies] = there.length > 0 ? await Promise.all([configsOf(there), copiesOf(there)]) : []
    return specs.flatMap(spec => {
      const now = copies?.get(spec.name)
      return now
        ? differences(spec, configs?.get(spec.name), now)
        : [{ kind: 'create' as const, topic: spec.name, partitions: spec.partitions }]
    })
  }

  /** @param copies of each partition, as they are */
  function differences(
    spec: TopicSpec,
    configs: Map<string, Config> | undefined,
    copies: readonly number[],
  ): TopicChange[] {
    const { name: topic, partitions: to } = spec
    const from = copies.length
    const fewest = Math.min(...copies)
    const refused = (reason: string) => ({ kind: 'refused' as const, topic, reason })
    return [
      ...(from < to ? [{ kind: 'add-partitions' as const, topic, from, to }] : []),
      ...(from > to
        ? [refused(`it has ${from} partitions, ${to} are asked for; partitions are never taken away`)]
        : []),
      ...(copies.some(count => count !== settings.replication) ? [refused(otherCopies(copies))] : []),
      // What the copies that there are can keep, whatever is asked for.
      ...configOf(spec, fewest).flatMap(([name, value]) => {
        const now = configs?.get(name)?.value ?? ''
        // More than ours stays, unless it is more than there are copies: nothing can be written then.
        const stays = name === inSyncConfig && Number(now) >= Number(value) && Number(now) <= fewest
        if (now === value || stays) return []
        return [{ kind: 'configure' as const, topic, name, from: now, to: value, loses: loses(name, now, value, spec) }]
      }),
    ]
  }

  function otherCopies(copies: readonly number[]): string {
    const [fewest, most] = [Math.min(...copies), Math.max(...copies)]
    const { replication } = settings
    const has = `a partition has ${fewest === most ? '' : `${fewest} to `}${most === 1 ? '1 copy' : `${most} copies`}`
    const then =
      most > replication
        ? `copies are never taken away: set kafka.replication to ${most}`
        : 'Kafka makes more of what is there by kafka-reassign-partitions.sh alone (docs/distributed.md, "More brokers")'
    return `${has}, kafka.replication asks for ${replication}; ${then}`
  }

  async function copiesOf(names: readonly string[]): Promise<Map<string, number[]>> {
    const { topicMetadata } = await patiently(
      () => wire.ask(link => link.send('Metadata', { topics: names, allowAutoTopicCreation: false }, { raw: true })),
      patience,
    )
    return new Map(
      topicMetadata
        .filter(({ topicErrorCode }) => topicErrorCode === 0)
        .map(({ topic, partitionMetadata }) => [topic, partitionMetadata.map(({ replicas }) => replicas.length)]),
    )
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
      configEntries: entriesOf(configOf(spec, settings.replication)),
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
  async function configure(topic: string, values: readonly [string, string][]): Promise<void> {
    const now = (await configsOf([topic])).get(topic) ?? new Map<string, Config>()
    const kept = [...now].flatMap(([name, { value, own }]): [string, string][] => (own ? [[name, value]] : []))
    const configEntries = entriesOf(new Map([...kept, ...values]))
    await patiently(
      async () =>
        (await wire.controller()).send('AlterConfigs', {
          validateOnly: false,
          resources: [{ type: topicResource, name: topic, configEntries }],
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
    const values = Map.groupBy(
      changes.flatMap(change => (change.kind === 'configure' ? [change] : [])),
      ({ topic }) => topic,
    )
    if (fresh.length > 0) await create(fresh)
    for (const { name, partitions } of wider) await widen(name, partitions)
    for (const [topic, of] of values)
      await configure(
        topic,
        of.map(({ name, to }) => [name, to]),
      )
    await patiently(() => visible([...fresh, ...wider]), patience)
    if (values.size > 0) await patiently(() => inForce(values), patience)
    await settled([...fresh, ...wider])
  }

  /** A broker may hear of a change a moment later than the controller. */
  async function visible(specs: readonly TopicSpec[]): Promise<void> {
    const there = new Set(await wire.topicNames())
    const missing = specs.find(({ name }) => !there.has(name))
    if (missing) throw new LinkError(`${missing.name} is not there yet`)
  }

  async function inForce(values: ReadonlyMap<string, readonly { name: string; to: string }[]>): Promise<void> {
    const configs = await configsOf([...values.keys()])
    for (const [topic, of] of values)
      for (const { name, to } of of)
        if (configs.get(topic)?.get(name)?.value !== to) throw new LinkError(`${name} of ${topic} is not ${to} yet`)
  }

  return {
    plan,
    /** Does these changes of a plan, and nothing else. */
    apply: make,
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
          const compacted = isCompacted(configs.get(name)?.get('cleanup.policy')?.value ?? '')
          return { name, partitions: bounds.length, retention, compacted, bounds }
        }),
      )
    },
  }
}

const isCompacted = (policy: string) => policy.split(',').includes('compact')
const isLimited = ({ maxAgeMs, maxBytes }: TopicSpec['retention']) => maxAgeMs !== null || maxBytes !== null

/** Whether the brokers may delete, with the new value, records that they keep with the old one. */
function loses(name: string, from: string, to: string, { retention }: TopicSpec): boolean {
  const limit = (value: string) => (Number(value) < 0 ? Number.POSITIVE_INFINITY : Number(value))
  const begins = (policy: string) => to.split(',').includes(policy) && !from.split(',').includes(policy)
  switch (name) {
    case 'retention.ms':
    case 'retention.bytes':
      return limit(to) < limit(from)
    case 'cleanup.policy':
      return begins('compact') || (begins('delete') && isLimited(retention))
    default:
      return false
  }
}
