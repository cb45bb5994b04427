/** Images that come by C-STORE to the DICOM node, beside what asks archives and what assesses: all on one log. */
import { createHealth } from '../../monitoring/health.ts'
import { expectImages } from '../../processors/expect-images/stage.ts'
import { dimse } from '../../producers/dimse/stage.ts'
import { topics } from '../../schemas/topics.ts'
import type { assessingPerTest } from './assessing.ts'
import { openStores } from './stores.ts'
import { until } from './until.ts'

export interface Arrivals extends AsyncDisposable {
  /** Of the DICOM node. */
  readonly port: number
  /** Waits until so many images are on the log, has the model answer to each that it has not, and all of it read. */
  answered(images: number): Promise<void>
  /** Waits for so many announcements of counts, read too. */
  announced(count: number): Promise<void>
}

/** @param dicomPort of the DICOM node, where somebody must know it before; else any */
export async function openArrivals(
  on: ReturnType<typeof assessingPerTest>,
  { peers = [], dicomPort = 0 }: { peers?: readonly object[]; dicomPort?: number } = {},
): Promise<Arrivals> {
  const stores = await openStores()
  const { objects, images, secrets } = stores
  const endpoints: Record<string, Record<string, string | number>> = {}
  const ports = {
    ...{ objects, images, secrets, health: createHealth() },
    endpoints: {
      set(name: string, value: Record<string, string | number>) {
        endpoints[name] = value
      },
      all: () => endpoints,
    },
  }
  await on.start({}, { stages: [dimse, expectImages], settings: { dimse: { port: dicomPort } }, peers, ports })
  const told = new Set<string>()
  return {
    port: Number(endpoints.dicom?.port),
    async answered(count) {
      const known = await until(`${count} images`, async () => {
        const all = await on.logged(topics.instances)
        return all.length >= count ? all : undefined
      })
      const fresh = known.filter(({ id }) => !told.has(id))
      await on.append(
        topics.predictions,
        ...fresh.map(({ id, study }) => on.answer(1, { id: `pr_of_${id}`, instance: id, study })),
      )
      for (const { id } of fresh) told.add(id)
      await on.read()
    },
    async announced(count) {
      await until(`${count} announcements`, async () => (await on.logged(topics.requests)).length >= count)
      await on.read()
    },
    async [Symbol.asyncDispose]() {
      await on.stop()
      await stores.close()
    },
  }
}
