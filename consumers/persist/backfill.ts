/** The query index of what was stored before there was one: from the documents of instances and their objects, oldest first. */
import type { Logger } from 'pino'
import type { Ports } from '../../kafka/ports.ts'
import type { Clock } from '../../monitoring/clock.ts'
import { toRaylogError } from '../../schemas/errors.ts'
import { ids } from '../../schemas/ids.ts'
import type { Instance } from '../../schemas/topics.ts'
import { indexInstances } from './dicom-index.ts'
import { type HeadLimits, readHead } from './patients.ts'

export interface BackfillOptions {
  ports: Pick<Ports, 'documents' | 'objects' | 'images' | 'secrets'>
  limits: HeadLimits
  clock: Clock
  logger: Logger
}

const pageSize = 500
const backoffMs = 1_000

/**
 * Safe twice, and to break off: what is in the index is passed over. Nobody else may index meanwhile. Waits out stores that
 * are away; an object that is gone, or cannot be read, is left out and counted.
 */
export async function indexOlder(options: BackfillOptions, signal: AbortSignal): Promise<void> {
  const { ports, clock, logger } = options
  const counts = { indexed: 0, leftOut: 0 }
  logger.info('indexes what was stored before there was an index')
  for (let cursor: string | null | undefined; cursor !== null && !signal.aborted; ) {
    try {
      const page = await ports.documents.find('instances', {
        ...{ order: 'oldest', limit: pageSize },
        ...(cursor !== undefined && { cursor }),
      })
      for (const instance of await missingOf(options, page.items)) {
        if (signal.aborted) return
        counts[await indexOne(options, instance)]++
      }
      cursor = page.next
    } catch (thrown) {
      const { code, entry } = toRaylogError(thrown)
      if (entry.verdict !== 'wait') throw thrown
      logger.warn({ code }, 'the index waits')
      await clock.sleep(backoffMs, signal).catch(() => undefined)
    }
  }
  logger.info(counts, 'the index has what was stored before it')
}

async function missingOf({ ports }: BackfillOptions, instances: readonly Instance[]): Promise<Instance[]> {
  const byId = new Map<string, Instance>()
  for (const instance of instances) {
    const id = instance.dicom && ids.sopInstance(instance.site, instance.dicom.sopInstance)
    // Of several contents under one UID the first is what is found.
    if (id && !byId.has(id)) byId.set(id, instance)
  }
  for (const { id } of await ports.documents.getMany('dicomInstances', [...byId.keys()])) byId.delete(id)
  return [...byId.values()]
}

/** @throws RaylogError where a store is away */
async function indexOne(
  { ports, limits, logger }: BackfillOptions,
  instance: Instance,
): Promise<'indexed' | 'leftOut'> {
  if (instance.dicom === null) return 'leftOut'
  try {
    const header = await readHead(ports, limits, instance)
    await indexInstances(ports, [{ instance, dicom: instance.dicom, header }])
    return 'indexed'
  } catch (thrown) {
    const { code, entry } = toRaylogError(thrown)
    if (entry.verdict === 'wait') throw thrown
    logger.warn({ code, instance: instance.id }, 'left out of the index')
    return 'leftOut'
  }
}
