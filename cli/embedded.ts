/** The ports of embedded mode: everything in one process and one folder. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { createHttp } from '../gateway/http.ts'
import { createCodec } from '../kafka/codec.ts'
import type { Plan } from '../kafka/compile.ts'
import { openEmbeddedLog } from '../kafka/embedded/log.ts'
import type { Endpoints, Platform, Ports } from '../kafka/ports.ts'
import { openTail } from '../kafka/tail.ts'
import { openModels } from '../models/engine.ts'
import { openImages } from '../models/imaging/images.ts'
import type { Clock } from '../monitoring/clock.ts'
import { createHealth } from '../monitoring/health.ts'
import { createMetrics } from '../monitoring/metrics.ts'
import { openSecrets } from '../storage/file-secrets.ts'
import { openFolderObjects } from '../storage/folder-objects.ts'
import { openSqliteDocuments } from '../storage/sqlite-documents.ts'

export interface Opened extends AsyncDisposable {
  ports: Ports
  platform: Platform
}

/** @throws RaylogError data-in-use, config-invalid, model-invalid; what was opened before is closed again */
export async function embedded(plan: Plan, { logger, clock }: { logger: Logger; clock: Clock }): Promise<Opened> {
  const { config } = plan
  await using opening = new AsyncDisposableStack()
  mkdirSync(config.data, { recursive: true, mode: 0o700 })
  const keep = <T extends { close(): Promise<unknown> | undefined }>(port: T): T =>
    opening.adopt(port, opened => Promise.resolve(opened.close()).then(() => undefined))

  const log = keep(await openEmbeddedLog({ folder: join(config.data, 'log'), clock }))
  const [documents, objects, secrets] = await Promise.all([
    openSqliteDocuments({ folder: join(config.data, 'documents') }).then(keep),
    openFolderObjects({ folder: join(config.data, 'objects') }).then(keep),
    openSecrets(config.data, { token: config.http.token }),
  ])
  await log.ensureTopics(plan.topics)
  const metrics = createMetrics()
  const codec = createCodec(log)
  const tail = keep(await openTail(log, codec, logger))
  const images = keep(await openImages({ objects, metrics, logger }))
  const models = keep(await openModels({ settings: config.models, objects, metrics, logger }))
  const health = createHealth()
  health.register('log', () => log.check())
  health.register('documents', () => documents.check())
  health.register('objects', () => objects.check())
  const http = keep(
    await createHttp({
      config: config.http,
      token: secrets.token,
      logger,
      health,
      metrics,
      researchUseOnly: config.researchUseOnly,
    }),
  )
  const closing = opening.move()
  return {
    ports: {
      log,
      codec,
      tail,
      objects,
      documents,
      secrets,
      models,
      images,
      http,
      health,
      metrics,
      endpoints: createEndpoints(),
    },
    platform: {
      site: config.site,
      clock,
      logger,
      dataFolder: config.data,
      showNames: config.privacy.showNames,
      researchUseOnly: config.researchUseOnly,
    },
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  }
}

function createEndpoints(): Endpoints {
  const known = new Map<string, Record<string, string | number>>()
  return {
    set: (name, value) => void known.set(name, value),
    all: () => Object.fromEntries(known),
  }
}
