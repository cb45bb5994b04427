/** The stores of embedded mode: everything in one process and one folder. */
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Plan } from '../kafka/compile.ts'
import { openEmbeddedLog } from '../kafka/embedded/log.ts'
import type { EventLog, TopicChange, TopicInfo, TopicSpec } from '../kafka/log.ts'
import { appendSealed } from '../kafka/sealed.ts'
import { RaylogError } from '../schemas/errors.ts'
import { openFolderObjects } from '../storage/folder-objects.ts'
import { openSqliteDocuments } from '../storage/sqlite-documents.ts'
import type { LogAlone } from './log.ts'
import type { Stores, Surroundings } from './ports.ts'

/** @throws RaylogError data-in-use, store-full, store-unavailable when a store is opened */
export function embeddedStores({ config }: Plan, { clock }: Surroundings): Stores {
  mkdirSync(config.data, { recursive: true, mode: 0o700 })
  const log = Promise.withResolvers<EventLog>()
  log.promise.catch(() => undefined) // who opens it hears of it
  return {
    log() {
      const opening = openEmbeddedLog({ folder: join(config.data, 'log'), clock })
      log.resolve(opening)
      return opening
    },
    documents: () => openSqliteDocuments({ folder: join(config.data, 'documents') }),
    objects: () =>
      openFolderObjects({
        folder: join(config.data, 'objects'),
        arrivals: { deliver: async (notes, again) => appendSealed(await log.promise, notes, again) },
      }),
  }
}

/**
 * The log by itself, for commands that read or fill it while no Raylog runs: nothing is trimmed from it.
 * @throws RaylogError data-in-use while one runs; not-found where there is none and none is to be made
 */
export async function embeddedLog({ config }: Plan, { clock }: Surroundings, make: boolean): Promise<LogAlone> {
  const folder = join(config.data, 'log')
  if (!make && !existsSync(folder)) throw new RaylogError('not-found', `there is no log in ${config.data}`)
  if (make) mkdirSync(config.data, { recursive: true, mode: 0o700 })
  const log = await openEmbeddedLog({ folder, clock, trimEveryMs: null })
  return {
    ...log,
    planTopics: async specs => changesOf(await log.topics(), specs),
    async applyTopics(specs, changes) {
      await log.ensureTopics(changed(await log.topics(), specs, changes))
    },
  }
}

const limits = ['maxAgeMs', 'maxBytes'] as const
const settingOf = (limit: (typeof limits)[number]) => `retention.${limit}`

function changesOf(topics: readonly TopicInfo[], specs: readonly TopicSpec[]): TopicChange[] {
  return specs.flatMap(({ name: topic, partitions: to, retention }): TopicChange[] => {
    const now = topics.find(({ name }) => name === topic)
    if (!now) return [{ kind: 'create', topic, partitions: to }]
    const reason = `it has ${now.partitions} partitions, ${to} are asked for; partitions are never taken away`
    return [
      ...(now.partitions < to ? [{ kind: 'add-partitions' as const, topic, from: now.partitions, to }] : []),
      ...(now.partitions > to ? [{ kind: 'refused' as const, topic, reason }] : []),
      ...limits
        .filter(limit => now.retention[limit] !== retention[limit])
        .map(limit => ({
          kind: 'configure' as const,
          topic,
          name: settingOf(limit),
          from: String(now.retention[limit] ?? 'for ever'),
          to: String(retention[limit] ?? 'for ever'),
          loses: (retention[limit] ?? Number.POSITIVE_INFINITY) < (now.retention[limit] ?? Number.POSITIVE_INFINITY),
        })),
    ]
  })
}

/** The topics that change, with what is to stay as it is. */
function changed(
  topics: readonly TopicInfo[],
  specs: readonly TopicSpec[],
  changes: readonly TopicChange[],
): TopicSpec[] {
  return specs.flatMap(spec => {
    const of = changes.filter(({ topic, kind }) => topic === spec.name && kind !== 'refused')
    if (of.length === 0) return []
    const now = topics.find(({ name }) => name === spec.name)
    if (!now) return [spec]
    const { partitions, retention } = now
    const set = (limit: (typeof limits)[number]) =>
      of.some(change => change.kind === 'configure' && change.name === settingOf(limit)) ? spec : now
    return [
      {
        name: spec.name,
        partitions: of.some(({ kind }) => kind === 'add-partitions') ? spec.partitions : partitions,
        retention: {
          ...retention,
          ...Object.fromEntries(limits.map(limit => [limit, set(limit).retention[limit]])),
        },
      },
    ]
  })
}
