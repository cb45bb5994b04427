/** Opens a producer on real stores, with a publish that records what would be on the log, or fails as it is told. */
import pino from 'pino'
import type { Network, Ports } from '../../kafka/ports.ts'
import type { AnyStage } from '../../kafka/stage.ts'
import { type Clock, systemClock } from '../../monitoring/clock.ts'
import { createHealth } from '../../monitoring/health.ts'
import { platformConfig } from '../../schemas/config.ts'
import { type AuditEntry, type Instance, type Topic, topics } from '../../schemas/topics.ts'
import { openStores, type Stores } from './stores.ts'

export interface ProducerOptions {
  settings?: unknown
  /** As in raylog.yaml: peers, dicomTls. */
  network?: { peers?: unknown; dicomTls?: unknown }
  deps?: Partial<Ports>
  /** Called before each event is recorded; may throw, or wait. */
  publishing?: (event: Instance) => Promise<void> | void
  clock?: Clock
  /** Kept by the caller, for a second life of the producer. */
  stores?: Stores
}

export interface OpenProducer extends AsyncDisposable {
  readonly stores: Stores
  readonly published: Instance[]
  readonly audited: AuditEntry[]
  readonly endpoints: Record<string, Record<string, string | number>>
  /** Every log line so far. */
  logs(): string
  drain(): Promise<void>
  close(): Promise<void>
  objectCount(): Promise<number>
  /** Value of raylog_images_received_total for the outcome. */
  received(outcome: string): Promise<number>
}

/** The shared settings of the systems around, as a process has them. */
function networkOf(settings: object = {}): Network {
  const { peers, dicomTls } = platformConfig.parse(settings)
  return { peers, dicomTls }
}

export async function openProducer(stage: AnyStage, options: ProducerOptions = {}): Promise<OpenProducer> {
  const stores = options.stores ?? (await openStores())
  const published: Instance[] = []
  const audited: AuditEntry[] = []
  const endpoints: Record<string, Record<string, string | number>> = {}
  const lines: string[] = []
  const stop = new AbortController()
  const ports: Partial<Ports> = {
    objects: stores.objects,
    images: stores.images,
    secrets: stores.secrets,
    documents: stores.documents,
    metrics: stores.metrics,
    health: createHealth(),
    endpoints: {
      set: (name, value) => {
        endpoints[name] = value
      },
      all: () => endpoints,
    },
    ...options.deps,
  }
  const missing = stage.needs.filter(name => ports[name] === undefined)
  if (missing.length > 0) throw new Error(`${stage.name} needs ${missing.join(', ')}`)
  const opened = await stage.open({
    site: 'main',
    clock: options.clock ?? systemClock,
    dataFolder: stores.folder,
    showNames: false,
    researchUseOnly: true,
    network: networkOf(options.network),
    logger: pino({ level: 'debug' }, { write: (line: string) => lines.push(line) }),
    config: stage.config.parse(options.settings ?? {}),
    deps: Object.fromEntries(stage.needs.map(name => [name, ports[name]])),
    async publish(topic: Topic, ...events: unknown[]) {
      if (topic.name === topics.audit.name) {
        audited.push(...(events as AuditEntry[]))
        return []
      }
      for (const event of events as Instance[]) {
        await options.publishing?.(event)
        published.push(event)
      }
      return []
    },
    signal: stop.signal,
  })
  let closed: Promise<void> | undefined
  async function end(): Promise<void> {
    stop.abort(new Error('the test is over'))
    await opened.close?.()
    if (!options.stores) await stores.close()
  }
  const close = () => {
    closed ??= end()
    return closed
  }
  return {
    stores,
    published,
    audited,
    endpoints,
    logs: () => lines.join(''),
    drain: async () => opened.drain?.(),
    close,
    async objectCount() {
      let count = 0
      for await (const _ of stores.objects.list()) count++
      return count
    },
    async received(outcome) {
      const { values } = await stores.metrics.received.get()
      return values.find(value => value.labels.outcome === outcome)?.value ?? 0
    },
    [Symbol.asyncDispose]: close,
  }
}
