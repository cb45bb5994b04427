/** The ports that a stage may need. A stage names them in `needs` and gets those, no others. */
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import type { Images } from '../models/imaging/port.ts'
import type { Models } from '../models/port.ts'
import type { Clock } from '../monitoring/clock.ts'
import type { Health } from '../monitoring/health.ts'
import type { Metrics } from '../monitoring/metrics.ts'
import type { DicomTls, Peer } from '../schemas/peers.ts'
import type { EventOf, Topic } from '../schemas/topics.ts'
import type { DocumentStore } from '../storage/documents.ts'
import type { ObjectStore } from '../storage/objects.ts'
import type { Secrets } from '../storage/secrets.ts'
import type { EventLog, LogRecord, Position } from './log.ts'

/** Everything that is appended, as it is appended, to whoever listens in this process. No group, no commits. */
export interface Tail {
  /** @returns a function that stops listening */
  listen<T extends Topic>(topic: T, listener: (event: EventOf<T>, at: Position) => void): () => void
}

/** Avro for the log's records. */
export interface Codec {
  encode<T extends Topic>(topic: T, event: EventOf<T>): Promise<Buffer>
  /** @throws RaylogError bad-record */
  decode<T extends Topic>(topic: T, record: Pick<LogRecord, 'value'>): Promise<EventOf<T>>
}

/** Where people and senders reach this process, told to whoever asks (the page, `raylog start`). */
export interface Endpoints {
  set(name: string, value: Record<string, string | number>): void
  all(): Record<string, Record<string, string | number>>
}

export interface Ports {
  log: EventLog
  codec: Codec
  tail: Tail
  objects: ObjectStore
  documents: DocumentStore
  secrets: Secrets
  models: Models
  images: Images
  /** The HTTP server of this process: stages add their routes in `open`; it listens when all are open. */
  http: FastifyInstance
  health: Health
  metrics: Metrics
  endpoints: Endpoints
}

export type PortName = keyof Ports

/** What every stage gets. */
export interface Platform {
  readonly site: string
  readonly clock: Clock
  readonly logger: Logger
  /** Where this process may keep files of its own. */
  readonly dataFolder: string
  /** Patients' names may be shown to people: on the page, in reports. */
  readonly showNames: boolean
  /** Everything that people see says so. */
  readonly researchUseOnly: boolean
  /** The systems around this one, and our certificate for them. */
  readonly network: Network
}

export interface Network {
  readonly peers: readonly Peer[]
  readonly dicomTls: DicomTls | null
}
