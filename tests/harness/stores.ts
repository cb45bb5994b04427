/** Real stores in a folder of their own, for tests of single stages. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fastify from 'fastify'
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod'
import { type EmbeddedLog, openEmbeddedLog } from '../../kafka/embedded/log.ts'
import type { Ports } from '../../kafka/ports.ts'
import { openImages } from '../../models/imaging/images.ts'
import type { Clock } from '../../monitoring/clock.ts'
import { createMetrics } from '../../monitoring/metrics.ts'
import { deidentifySection } from '../../schemas/deidentify.ts'
import { allTopics } from '../../schemas/topics.ts'
import { openSecrets } from '../../storage/file-secrets.ts'
import { openFolderObjects } from '../../storage/folder-objects.ts'
import { openSqliteDocuments } from '../../storage/sqlite-documents.ts'

export type Stores = Awaited<ReturnType<typeof openStores>>

/** A log with all topics, in a folder that the caller removes after closing it. */
export async function openLog(folder: string, clock?: Clock): Promise<EmbeddedLog> {
  const log = await openEmbeddedLog({ folder, trimEveryMs: null, ...(clock && { clock }) })
  await log.ensureTopics(
    allTopics.map(({ name, partitions }) => ({ name, partitions, retention: { maxAgeMs: null, maxBytes: null } })),
  )
  return log
}

/** The caller closes them; that removes the folder. */
export async function openStores(options: { deidentify?: object } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'raylog-stage-'))
  const metrics = createMetrics()
  const objects = await openFolderObjects({ folder: join(folder, 'objects') })
  const documents = await openSqliteDocuments({ folder })
  const secrets = await openSecrets(folder)
  const deidentify = options.deidentify && {
    settings: deidentifySection.parse(options.deidentify),
    key: secrets.derive('deidentify'),
    site: 'main',
  }
  const images = openImages({ objects, metrics, ...(deidentify && { deidentify }) })
  return {
    folder,
    metrics,
    objects,
    documents,
    secrets,
    images,
    async close() {
      await images.close()
      await documents.close()
      await objects.close()
      metrics.registry.clear()
      await rm(folder, { recursive: true })
    },
  }
}

/** An HTTP server that listens nowhere, for stages that add routes to one; asked by `inject`. */
export function bareHttp(): Ports['http'] {
  const http = fastify()
  http.setValidatorCompiler(validatorCompiler)
  http.setSerializerCompiler(serializerCompiler)
  return http
}
