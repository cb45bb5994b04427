/** Topics on the brokers: made where they are missing, widened where asked, never shrunk and never deleted. */
import kafkajs, { type Admin } from 'kafkajs'
import type { Clock } from '../../monitoring/clock.ts'
import { RaylogError } from '../../schemas/errors.ts'
import type { TopicInfo, TopicSpec } from '../log.ts'

// Node does not find this one among the names that CommonJS exports.
const { ConfigResourceTypes } = kafkajs

export interface Bound {
  partition: number
  low: number
  high: number
}

export type TopicChange =
  | { kind: 'create'; topic: string; partitions: number }
  | { kind: 'add-partitions'; topic: string; from: number; to: number }
  | { kind: 'configure'; topic: string; name: string; from: string; to: string }
  /** Said, never done: the log would lose records or their order. */
  | { kind: 'refused'; topic: string; reason: string }

export type Topics = ReturnType<typeof createTopics>

/** Ten seconds between them, ms each. */
const settleAttempts = 50
const settleMs = 200

export function createTopics(
  admin: Admin,
  settings: { replication: number; maxRecordBytes: number },
  clock: Pick<Clock, 'sleep'>,
) {
  const partitionCounts = new Map<string, number>()

  const configOf = ({ retention }: TopicSpec): Record<string, string> => ({
    'retention.ms': String(retention.maxAgeMs ?? -1),
    'retention.bytes': String(retention.maxBytes ?? -1),
    'max.message.bytes': String(settings.maxRecordBytes),
    'cleanup.policy': 'delete',
  })

  /** What would have to change, and changes nothing. */
  async function plan(specs: readonly TopicSpec[]): Promise<TopicChange[]> {
    const names = new Set(await admin.listTopics())
    const there = specs.filter(({ name }) => names.has(name))
    const changes: TopicChange[] = specs
      .filter(({ name }) => !names.has(name))
      .map(({ name, partitions }) => ({ kind: 'create', topic: name, partitions }))
    if (there.length === 0) return changes
    const { topics } = await admin.fetchTopicMetadata({ topics: there.map(({ name }) => name) })
    const configs = await currentConfigs(there.map(({ name }) => name))
    for (const spec of there) {
      const now = topics.find(({ name }) => name === spec.name)?.partitions.length ?? 0
      if (now < spec.partitions)
        changes.push({ kind: 'add-partitions', topic: spec.name, from: now, to: spec.partitions })
      if (now > spec.partitions)
        changes.push({
          kind: 'refused',
          topic: spec.name,
          reason: `it has ${now} partitions, ${spec.partitions} are asked for; partitions are never taken away`,
        })
      for (const [name, to] of Object.entries(configOf(spec))) {
        const from = configs.get(spec.name)?.[name] ?? ''
        if (from !== to) changes.push({ kind: 'configure', topic: spec.name, name, from, to })
      }
    }
    return changes
  }

  async function currentConfigs(names: readonly string[]): Promise<Map<string, Record<string, string>>> {
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: names.map(name => ({ type: ConfigResourceTypes.TOPIC, name })),
    })
    return new Map(
      resources.map(({ resourceName, configEntries }) => [
        resourceName,
        Object.fromEntries(configEntries.map(({ configName, configValue }) => [configName, configValue])),
      ]),
    )
  }

  async function apply(specs: readonly TopicSpec[], changes: readonly TopicChange[]): Promise<void> {
    const specOf = (topic: string) => specs.find(({ name }) => name === topic)
    const created = changes.flatMap(change => (change.kind === 'create' ? (specOf(change.topic) ?? []) : []))
    if (created.length > 0)
      await admin.createTopics({
        waitForLeaders: true,
        topics: created.map(spec => ({
          topic: spec.name,
          numPartitions: spec.partitions,
          replicationFactor: settings.replication,
          configEntries: Object.entries(configOf(spec)).map(([name, value]) => ({ name, value })),
        })),
      })
    const wider = changes.flatMap(change =>
      change.kind === 'add-partitions' ? [{ topic: change.topic, count: change.to }] : [],
    )
    if (wider.length > 0) await admin.createPartitions({ topicPartitions: wider })
    for (const topic of new Set(changes.flatMap(change => (change.kind === 'configure' ? [change.topic] : [])))) {
      const spec = specOf(topic)
      if (!spec) continue
      await admin.alterConfigs({
        validateOnly: false,
        resources: [
          {
            type: ConfigResourceTypes.TOPIC,
            name: topic,
            configEntries: Object.entries(configOf(spec)).map(([name, value]) => ({ name, value })),
          },
        ],
      })
    }
    partitionCounts.clear()
  }

  const bounds = async (topic: string): Promise<Bound[]> =>
    (await admin.fetchTopicOffsets(topic))
      .map(({ partition, low, high }) => ({ partition, low: Number(low), high: Number(high) }))
      .sort((a, b) => a.partition - b.partition)

  /** Another process may have made it a moment ago: it can be read when each of its partitions has a leader that knows. */
  async function settled(topic: string): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await bounds(topic)
        return
      } catch (error) {
        if (attempt === settleAttempts) throw error
        await clock.sleep(settleMs)
      }
    }
  }

  const names = async () => (await admin.listTopics()).filter(name => !name.startsWith('__')).sort()

  return {
    plan,
    apply,
    bounds,
    names,
    /** Makes what is missing at a start; what a running system has otherwise is left to `raylog topics apply`. */
    async ensure(specs: readonly TopicSpec[]): Promise<void> {
      const changes = await plan(specs)
      await apply(
        specs,
        changes.filter(({ kind }) => kind === 'create' || kind === 'add-partitions'),
      )
      await Promise.all(specs.map(({ name }) => settled(name)))
    },
    async partitionsOf(topic: string): Promise<number> {
      const known = partitionCounts.get(topic)
      if (known !== undefined) return known
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
      const count = topics[0]?.partitions.length ?? 0
      if (count === 0)
        throw new RaylogError('log-unavailable', `topic ${topic} does not exist; run "raylog topics apply"`)
      partitionCounts.set(topic, count)
      return count
    },
    async list(): Promise<TopicInfo[]> {
      const all = await names()
      if (all.length === 0) return []
      const configs = await currentConfigs(all)
      return Promise.all(
        all.map(async name => {
          const config = configs.get(name) ?? {}
          const limit = (key: string) => (Number(config[key] ?? -1) < 0 ? null : Number(config[key]))
          const partitions = await bounds(name)
          return {
            name,
            partitions: partitions.length,
            retention: { maxAgeMs: limit('retention.ms'), maxBytes: limit('retention.bytes') },
            bounds: partitions,
          }
        }),
      )
    },
  }
}
