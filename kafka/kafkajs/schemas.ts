/**
 * Avro schemas in a Confluent registry: a subject for each topic, BACKWARD_TRANSITIVE. What was asked once is kept, so a
 * registry that goes away stops nothing that runs.
 */
import { COMPATIBILITY, SchemaRegistry, SchemaType } from '@kafkajs/confluent-schema-registry'
import type { Clock } from '../../monitoring/clock.ts'
import { RaylogError } from '../../schemas/errors.ts'

export interface SchemaSettings {
  /** Base address of the Confluent-compatible API. */
  url: string
  auth: { username: string; password: string } | null
}

export interface Schemas {
  idOf(subject: string, schema: string): Promise<number>
  /** @throws RaylogError bad-record when the registry does not know the id, log-unavailable when it is away */
  textOf(id: number): Promise<string>
}

/** The registry's own client waits for ever for a server that is connected and does not answer, ms. */
const answerMs = 8_000
/** Where another process was faster: attempts, and the wait after the first, ms. */
const mostAttempts = 4
const raceMs = 50

export function openSchemas({ url, auth }: SchemaSettings, clock: Clock): Schemas {
  const registry = new SchemaRegistry({ host: url, retry: { retries: 2 }, ...(auth ? { auth } : {}) })
  const ids = new Map<string, Promise<number>>()
  const texts = new Map<number, Promise<string>>()

  async function inTime<V>(asked: Promise<V>): Promise<V> {
    const answered = new AbortController()
    const late = clock.sleep(answerMs, answered.signal).then(() => {
      throw new Error(`no answer within ${answerMs} ms`)
    })
    try {
      return await Promise.race([asked, late])
    } finally {
      answered.abort()
      late.catch(() => undefined) // ended by the line above
    }
  }

  function once<K, V>(cache: Map<K, Promise<V>>, key: K, ask: () => Promise<V>): Promise<V> {
    const known = cache.get(key)
    if (known) return known
    const asked = ask()
    cache.set(key, asked)
    asked.catch(() => cache.delete(key))
    return asked
  }

  /** Processes that start at once set the rule of a new subject at once; all but one are told that it is there. */
  async function register(subject: string, schema: string): Promise<number> {
    const compatibility = COMPATIBILITY.BACKWARD_TRANSITIVE
    for (let attempt = 1; ; attempt++) {
      try {
        return (await inTime(registry.register({ type: SchemaType.AVRO, schema }, { subject, compatibility }))).id
      } catch (error) {
        if (attempt === mostAttempts || !/already exists/.test(messageOf(error))) throw error
        await clock.sleep(raceMs * attempt)
      }
    }
  }

  return {
    idOf: (subject, schema) =>
      once(ids, `${subject} ${schema}`, async () => {
        try {
          const id = await register(subject, schema)
          texts.set(id, Promise.resolve(schema))
          return id
        } catch (cause) {
          throw new RaylogError('log-unavailable', `the schema registry did not take ${subject}: ${messageOf(cause)}`, {
            cause,
          })
        }
      }),
    textOf: id =>
      once(texts, id, async () => {
        try {
          const found: unknown = await inTime(registry.getSchema(id))
          return JSON.stringify(found)
        } catch (cause) {
          if (isNotFound(cause))
            throw new RaylogError('bad-record', `the schema registry does not know schema ${id}`, { cause })
          throw new RaylogError('log-unavailable', `the schema registry does not answer: ${messageOf(cause)}`, {
            cause,
          })
        }
      }),
  }
}

const messageOf = (cause: unknown) => (cause instanceof Error ? cause.message : String(cause))

const isNotFound = (cause: unknown) =>
  typeof cause === 'object' && cause !== null && 'status' in cause && cause.status === 404
