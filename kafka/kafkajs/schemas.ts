/**
 * Avro schemas in a Confluent registry: a subject for each topic, BACKWARD_TRANSITIVE. What was asked once is kept, so a
 * registry that goes away stops nothing that runs; and in a folder, so that a process can start while it is away. The
 * registry always has the word: what was kept counts only while it does not answer, and is held against it when it does.
 */
import { COMPATIBILITY, SchemaRegistry, SchemaType } from '@kafkajs/confluent-schema-registry'
import type { Logger } from 'pino'
import type { Clock } from '../../monitoring/clock.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { openSchemaCache } from './schema-cache.ts'

export interface SchemaSettings {
  /** Base address of the Confluent-compatible API. */
  url: string
  auth: { username: string; password: string } | null
  /** Where answers are kept for the next start; nowhere unless given. */
  cacheFolder?: string
}

export interface Schemas {
  idOf(subject: string, schema: string): Promise<number>
  /** @throws RaylogError bad-record when the registry does not know the id, log-unavailable when it is away */
  textOf(id: number): Promise<string>
  /** @throws RaylogError config-invalid when the registry has come back and gives other ids than it did */
  check(): void
  close(): void
}

export interface SchemaSurroundings {
  clock: Clock
  logger: Logger
}

/** The registry's own client waits for ever for a server that is connected and does not answer, ms. */
const answerMs = 8_000
/** Where another process was faster: attempts, and the wait after the first, ms. */
const mostAttempts = 4
const raceMs = 50
/** One that did not answer is not asked for what was kept for so long: a start asks for a dozen, ms. */
const awayMs = 15_000

export function openSchemas({ url, auth, cacheFolder }: SchemaSettings, surroundings: SchemaSurroundings): Schemas {
  const { clock, logger } = surroundings
  const registry = new SchemaRegistry({ host: url, retry: { retries: 2 }, ...(auth ? { auth } : {}) })
  const cache = cacheFolder === undefined ? undefined : openSchemaCache(cacheFolder, url, surroundings)
  const ids = new Map<string, Promise<number>>()
  const texts = new Map<number, Promise<string>>()
  const closed = new AbortController()
  let awayUntil = 0
  let conflict: RaylogError | undefined

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

  function once<K, V>(remembered: Map<K, Promise<V>>, key: K, ask: () => Promise<V>): Promise<V> {
    const known = remembered.get(key)
    if (known) return known
    const asked = ask()
    remembered.set(key, asked)
    asked.catch(() => remembered.delete(key))
    return asked
  }

  /**
   * Its client registers a new subject first and sets its rule then. A process that looks in between, or after one that was
   * killed in between, finds a subject without a rule, and sets it. @throws nothing: whoever asked tries again
   */
  async function setRule(subject: string): Promise<void> {
    const login = auth && Buffer.from(`${auth.username}:${auth.password}`).toString('base64')
    const asked = fetch(`${url}/config/${encodeURIComponent(subject)}`, {
      method: 'PUT',
      headers: {
        'content-type': 'application/vnd.schemaregistry.v1+json',
        ...(login ? { authorization: `Basic ${login}` } : {}),
      },
      body: JSON.stringify({ compatibility: COMPATIBILITY.BACKWARD_TRANSITIVE }),
      signal: AbortSignal.timeout(answerMs),
    })
    await asked
      .then(answer => answer.arrayBuffer())
      .catch(error => logger.debug({ err: error, subject }, 'no rule set'))
  }

  /** Processes that start at once set the rule of a new subject at once; all but one are told that it is there. */
  async function register(subject: string, schema: string): Promise<number> {
    const compatibility = COMPATIBILITY.BACKWARD_TRANSITIVE
    for (let attempt = 1; ; attempt++) {
      try {
        return (await inTime(registry.register({ type: SchemaType.AVRO, schema }, { subject, compatibility }))).id
      } catch (error) {
        const [isThere, noRule] = [/already exists/, /BACKWARD_TRANSITIVE != NONE/].map(said =>
          said.test(messageOf(error)),
        )
        if (attempt === mostAttempts || !(isThere || noRule)) throw error
        if (noRule) await setRule(subject)
        await clock.sleep(raceMs * attempt)
      }
    }
  }

  /** What was kept, where the registry does not answer. @throws what asking threw where nothing was, or where it did answer */
  async function orKept<V>(kept: V | undefined, ask: () => Promise<V>): Promise<{ value: V; asked: boolean }> {
    if (kept !== undefined && clock.now() < awayUntil) return { value: kept, asked: false }
    try {
      return { value: await ask(), asked: true }
    } catch (error) {
      if (kept === undefined || hasAnswered(error)) throw error
      if (clock.now() >= awayUntil)
        logger.warn({ reason: messageOf(error) }, 'the schema registry is away: what it said before counts meanwhile')
      awayUntil = clock.now() + awayMs
      return { value: kept, asked: false }
    }
  }

  async function registered(subject: string, schema: string): Promise<number> {
    const id = await register(subject, schema)
    cache?.keep({ subject, id, text: schema })
    return id
  }

  /** A registry that lost what it knew gives other ids: records under the old ones would be read as something else. */
  async function confirm(subject: string, schema: string, kept: number): Promise<void> {
    while (!closed.signal.aborted) {
      try {
        await clock.sleep(awayMs, closed.signal)
        const id = await registered(subject, schema)
        if (id === kept) return
        const message = `the schema registry gives ${subject} the id ${id}; before it was away it was ${kept}`
        conflict = new RaylogError('config-invalid', message)
        logger.error({ code: conflict.code, reason: message }, 'nothing more is written; a new start takes the new id')
        return
      } catch (error) {
        if (hasAnswered(error)) return logger.error({ reason: messageOf(error), subject }, 'a schema is refused now')
      }
    }
  }

  return {
    idOf: (subject, schema) =>
      once(ids, `${subject} ${schema}`, async () => {
        try {
          const known = await orKept(cache?.idOf(subject, schema), () => registered(subject, schema))
          const id = known.value
          if (!known.asked) void confirm(subject, schema, id)
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
          const known = await orKept(cache?.textOf(id), async () => {
            const found: unknown = await inTime(registry.getSchema(id))
            const text = JSON.stringify(found)
            cache?.keep({ subject: null, id, text })
            return text
          })
          return known.value
        } catch (cause) {
          if (isNotFound(cause))
            throw new RaylogError('bad-record', `the schema registry does not know schema ${id}`, { cause })
          throw new RaylogError('log-unavailable', `the schema registry does not answer: ${messageOf(cause)}`, {
            cause,
          })
        }
      }),
    check() {
      if (conflict) throw conflict
    },
    close: () => closed.abort(),
  }
}

const messageOf = (cause: unknown) => (cause instanceof Error ? cause.message : String(cause))

const statusOf = (cause: unknown): unknown =>
  typeof cause === 'object' && cause !== null && 'status' in cause ? cause.status : undefined

const isNotFound = (cause: unknown) => statusOf(cause) === 404

/** Not of the registry itself: its client makes a 400 of a connection that fails, and proxies speak for who is away. */
const noAnswer = new Set([400, 408, 429])

/** It spoke, and said no. */
function hasAnswered(cause: unknown): boolean {
  const status = statusOf(cause)
  return typeof status === 'number' && status < 500 && !noAnswer.has(status)
}
