/** The ports of a process, in either mode: those that its stages need are opened, and health and metrics are always there. */
import { join } from 'node:path'
import type { Logger } from 'pino'
import { createHttp } from '../gateway/http.ts'
import { createCodec } from '../kafka/codec.ts'
import type { Plan } from '../kafka/compile.ts'
import type { EventLog } from '../kafka/log.ts'
import type { Endpoints, Platform, PortName, Ports } from '../kafka/ports.ts'
import type { AnyStage } from '../kafka/stage.ts'
import { openTail } from '../kafka/tail.ts'
import { openModels } from '../models/engine.ts'
import { openImages } from '../models/imaging/images.ts'
import type { Clock } from '../monitoring/clock.ts'
import { createHealth } from '../monitoring/health.ts'
import { createMetrics } from '../monitoring/metrics.ts'
import { RaylogError } from '../schemas/errors.ts'
import { topics } from '../schemas/topics.ts'
import { openSecrets } from '../storage/file-secrets.ts'
import { allStages } from './stages.ts'

export interface Opened extends AsyncDisposable {
  ports: Ports
  platform: Platform
}

export interface Surroundings {
  logger: Logger
  clock: Clock
}

/** The stores of the mode that the settings ask for. Drivers of the other mode are not even loaded. */
export async function storesOf(plan: Plan, surroundings: Surroundings): Promise<Stores> {
  if (plan.config.mode === 'embedded') return (await import('./embedded.ts')).embeddedStores(plan, surroundings)
  return (await import('./distributed.ts')).distributedStores(plan, surroundings)
}

/** Where a mode keeps things. Each is opened at most once, and closed by whoever opened it. */
export interface Stores {
  log(): Promise<EventLog>
  documents(): Promise<Ports['documents']>
  objects(): Promise<Ports['objects']>
}

/** What stages other than the runner's own need is opened for them alone; asking for another is a fault of ours. */
function absent(name: PortName): never {
  throw new RaylogError('internal', `no stage of this process needs ${name}, so it was not opened`)
}

/**
 * Opens what the plan's stages need. Disposing closes all of it, the last opened first.
 * @throws what the stores throw, config-invalid, model-invalid; what was opened before is closed again
 */
export async function openPorts(plan: Plan, { logger, clock }: Surroundings, stores: Stores): Promise<Opened> {
  const { config, needs } = plan
  await using opening = new AsyncDisposableStack()
  const keep = <T extends { close(): Promise<unknown> | undefined }>(port: T): T =>
    opening.adopt(port, opened => Promise.resolve(opened.close()).then(() => undefined))
  const needed = <T>(names: readonly PortName[], open: () => Promise<T>): Promise<T | undefined> =>
    names.some(name => needs.has(name)) ? open() : Promise.resolve(undefined)

  const log = ofStages(keep(await stores.log()), stagesThatRead(plan))
  const [documents, objects, secrets] = await Promise.all([
    needed(['documents'], () => stores.documents().then(keep)),
    needed(['objects', 'images', 'models'], () => stores.objects().then(keep)),
    openSecrets(config.secrets.folder ?? config.data, { token: config.http.token }),
  ])
  await log.ensureTopics(plan.topics)
  const metrics = createMetrics()
  const codec = createCodec(log)
  const tail = await needed(['tail'], () => openTail(log, codec, logger).then(keep))
  const deidentify = { settings: config.deidentify, key: secrets.derive('deidentify'), site: config.site }
  const images =
    objects && (await needed(['images'], async () => keep(openImages({ objects, metrics, logger, deidentify }))))
  const predicts = plan.stages.some(
    ({ stage }) => stage.needs.includes('models') && stage.writes.some(({ name }) => name === topics.predictions.name),
  )
  const models =
    objects &&
    (await needed(['models'], () =>
      openModels({
        settings: config.models,
        objects,
        spoolFolder: join(config.data, 'spool'),
        metrics,
        logger,
        predicts,
      }).then(keep),
    ))
  const health = createHealth()
  health.register('log', () => log.check())
  if (documents) health.register('documents', () => documents.check())
  if (objects) health.register('objects', () => objects.check())
  const { researchUseOnly } = config
  const http = keep(
    await createHttp({ config: config.http, token: secrets.token, logger, health, metrics, researchUseOnly }),
  )
  const closing = opening.move()
  return {
    ports: {
      ...{ log, codec, secrets, http, health, metrics, endpoints: createEndpoints() },
      get documents() {
        return documents ?? absent('documents')
      },
      get objects() {
        return objects ?? absent('objects')
      },
      get tail() {
        return tail ?? absent('tail')
      },
      get images() {
        return images ?? absent('images')
      },
      get models() {
        return models ?? absent('models')
      },
    },
    platform: {
      site: config.site,
      clock,
      logger,
      dataFolder: config.data,
      showNames: config.privacy.showNames,
      researchUseOnly,
      network: { peers: config.peers, dicomTls: config.dicomTls },
    },
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  }
}

/**
 * Stages whose groups count. In one process those that run in it; otherwise every stage there is, as others run elsewhere.
 * A stage that was taken out leaves its group on the log, which falls behind for ever.
 */
function stagesThatRead({ config, stages }: Plan): Set<string> {
  const counted: readonly AnyStage[] = config.mode === 'embedded' ? stages.map(({ stage }) => stage) : allStages
  return new Set(counted.filter(({ reads }) => reads.length > 0).map(({ name }) => name))
}

/** The log as a running Raylog sees it: of its groups, those of its stages. Brokers may have others of other systems. */
const ofStages = (log: EventLog, names: ReadonlySet<string>): EventLog => ({
  ...log,
  groups: async () => (await log.groups()).filter(name => names.has(name)),
})

function createEndpoints(): Endpoints {
  const known = new Map<string, Record<string, string | number>>()
  return {
    set: (name, value) => void known.set(name, value),
    all: () => Object.fromEntries(known),
  }
}
