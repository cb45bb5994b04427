/** What the routes share. */

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { Logger } from 'pino'
import type { Ports } from '../../kafka/ports.ts'
import type { Clock } from '../../monitoring/clock.ts'
import { RaylogError } from '../../schemas/errors.ts'
import type { Filter, FilterValue } from '../../storage/documents.ts'
import type { AccessAudit } from '../accesses.ts'

export type App = FastifyInstance<RawServerDefault, IncomingMessage, ServerResponse, FastifyBaseLogger, ZodTypeProvider>

export type ApiPorts = Pick<
  Ports,
  'documents' | 'objects' | 'models' | 'images' | 'secrets' | 'log' | 'endpoints' | 'health' | 'metrics'
>

export interface ApiContext {
  readonly audit: AccessAudit
  readonly deps: ApiPorts
  readonly clock: Clock
  readonly logger: Logger
  readonly showNames: boolean
  /** How long a URL of the object store is good that a client gets in place of an image's bytes, s; 0: it gets the bytes. */
  readonly presignedSeconds: number
}

/** A filter of those query fields that were given, under the names that the documents have for them. */
export function where(fields: Readonly<Record<string, FilterValue | undefined>>): Filter {
  return Object.fromEntries(
    Object.entries(fields).flatMap(([field, value]) => (value === undefined ? [] : [[field, value]])),
  )
}

/** The options of `find` without those that are undefined. */
export function page(query: { cursor?: string | undefined; limit: number }): { cursor?: string; limit: number } {
  return query.cursor === undefined ? { limit: query.limit } : { cursor: query.cursor, limit: query.limit }
}

/** @throws RaylogError not-found */
export function found<D>(doc: D | undefined, kind: string): D {
  if (doc === undefined) throw new RaylogError('not-found', `There is no such ${kind}.`)
  return doc
}
