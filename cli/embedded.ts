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
  const planTopics = async (specs: readonly TopicSpec[]) => changesOf(await log.topics(), specs)
  return {
    ...log,
    planTopics,
    async applyTopics(specs) {
      const changes = await planTopics(specs)
      await log.ensureTopics(specs)
      return changes
    },
  }
}

function changesOf(topics: readonly TopicInfo[], specs: readonly TopicSpec[]): TopicChange[] {
  return specs.flatMap(({ name: topic, partitions: to, retention }): TopicChange[] => {
    const now = topics.find(({ name }) => name === topic)
    if (!now) return [{ kind: 'create', topic, partitions: to }]
    const reason = `it has ${now.partitions} partitions, ${to} are asked for; partitions are never taken away`
    const configured = (['maxAgeMs', 'maxBytes'] as const).filter(name => now.retention[name] !== retention[name])
    return [
      ...(now.partitions < to ? [{ kind: 'add-partitions' as const, topic, from: now.partitions, to }] : []),
      ...(now.partitions > to ? [{ kind: 'refused' as const, topic, reason }] : []),
      ...configured.map(name => {
        const [from, wanted] = [now.retention[name], retention[name]].map(value => String(value ?? 'for ever'))
        return { kind: 'configure' as const, topic, name: `retention.${name}`, from: from ?? '', to: wanted ?? '' }
      }),
    ]
  })
}
