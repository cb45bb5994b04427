/**
 * One connection to one broker. It is used until it breaks and then replaced, never opened again: a connection of kafkajs
 * keeps half an answer over a reconnect and misreads all that follows. A request that is not answered in time ends the
 * connection, so that a frozen broker is found out by whoever asks it first.
 */
import type { KafkaConfig } from 'kafkajs'
import type { Logger } from 'pino'
import type { Clock } from '../../monitoring/clock.ts'
import type { Api, ApiName, Connection, Exchange, Kafkajs, Log, Versions } from './protocol.ts'

export interface Address {
  host: string
  port: number
}

export interface SendOptions {
  timeoutMs?: number
  /** Errors of single partitions stay in the answer; else the first one is thrown, and the rest of the answer is lost. */
  raw?: boolean
}

export interface Link {
  send<Name extends ApiName>(name: Name, asked: Api[Name][0], options?: SendOptions): Promise<Api[Name][1]>
  isOpen(): boolean
  /** What waits for an answer fails. */
  end(reason: Error): void
}

/** The broker could not be reached, or did not answer in time. What became of the request is not known. */
export class LinkError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'LinkError'
  }
}

export interface LinkSettings {
  kafkajs: Kafkajs
  clientId: string
  ssl: KafkaConfig['ssl'] | null
  sasl: KafkaConfig['sasl'] | null
  clock: Clock
  log: Log
  /** Told of a broker that is connected and does not answer. */
  silent?(address: Address): void
}

const connectTimeoutMs = 3_000
const answerTimeoutMs = 5_000
/** Given as the reason: without one a DOMException is made for each request, with its stack. */
const over = 'over'

/** kafkajs's own log lines, at the level of details: what they tell of is handled here. */
export const createLog = (kafkajs: Kafkajs, logger: Logger): Log =>
  kafkajs.createLogger({
    level: logger.isLevelEnabled('trace') ? 5 : 1,
    logCreator:
      () =>
      ({ namespace, log }) =>
        logger.debug({ kafkajs: namespace, detail: log }, log.message),
  })

/** @throws LinkError when it cannot be reached; KafkaJSSASLAuthenticationError when the broker refuses the login */
export async function openLink({ host, port }: Address, settings: LinkSettings): Promise<Link> {
  const { kafkajs, clientId, ssl, sasl, clock, log } = settings
  const where = `${host}:${port}`
  const connection: Connection = new kafkajs.Connection({
    host,
    port,
    clientId,
    ssl,
    sasl,
    logger: log,
    socketFactory: kafkajs.createSocketFactory(),
    connectionTimeout: connectTimeoutMs,
    requestTimeout: answerTimeoutMs,
    enforceRequestTimeout: false,
  })
  let versions: Versions = {}
  let ended = false
  const lost = Promise.withResolvers<never>()
  lost.promise.catch(() => undefined) // heard of by the opening, if it is still under way

  function end(reason: Error): void {
    if (ended) return
    ended = true
    lost.reject(reason)
    connection.rejectRequests(reason)
    // It only waits for requests, of which there are none any more.
    void connection.disconnect().then(() => connection.socket?.destroy())
  }

  /** Within the time, or not at all. */
  async function inTime<Result>(what: string, timeoutMs: number, act: () => Promise<Result>): Promise<Result> {
    const answered = new AbortController()
    const late = clock.sleep(timeoutMs, answered.signal).then(
      () => {
        settings.silent?.({ host, port })
        end(new LinkError(`${where} did not answer ${what} within ${timeoutMs} ms`))
      },
      () => undefined,
    )
    try {
      return await act()
    } catch (error) {
      throw isProtocolError(error) ? error : asLinkError(where, error)
    } finally {
      answered.abort(over)
      await late
    }
  }

  function exchangeOf<Name extends ApiName>(name: Name, asked: Api[Name][0]): Exchange<Api[Name][1]> {
    const definition = kafkajs.requests[name]
    const offered = versions[kafkajs.apiKeys[name]]
    const known = definition.versions.map(Number)
    const version = Math.max(...known.filter(one => one <= (offered?.maxVersion ?? Number.POSITIVE_INFINITY)))
    if (offered && version < offered.minVersion)
      throw new Error(`${where} speaks ${name} from version ${offered.minVersion} on, kafkajs up to ${version}`)
    return definition.protocol({ version })(asked)
  }

  async function greet(): Promise<void> {
    await connection.connect()
    const { apiVersions } = await connection.send(exchangeOf('ApiVersions', undefined))
    versions = Object.fromEntries(apiVersions.map(({ apiKey, ...range }) => [apiKey, range]))
    connection.setVersions(versions)
    connection.setSupportAuthenticationProtocol(true)
    await connection.authenticate()
  }

  try {
    await inTime('the connection', connectTimeoutMs + 1_000, () => Promise.race([greet(), lost.promise]))
  } catch (error) {
    end(new LinkError(`${where} was given up`))
    throw error
  }

  return {
    async send(name, asked, { timeoutMs = answerTimeoutMs, raw = false } = {}) {
      const exchange = exchangeOf(name, asked)
      return inTime(name, timeoutMs, () =>
        connection.send(
          raw ? { ...exchange, response: { decode: exchange.response.decode, parse: async all => all } } : exchange,
        ),
      )
    },
    // A login that is about to end is renewed with a new connection: kafkajs mixes up the answers when it does it in place.
    isOpen: () => !ended && connection.isConnected() && (!sasl || connection.isAuthenticated()),
    end,
  }
}

/** An answer of the broker that says what is wrong, rather than silence. */
const isProtocolError = (error: unknown) =>
  error instanceof Error && ('type' in error || error.name === 'KafkaJSSASLAuthenticationError')

const asLinkError = (where: string, error: unknown) =>
  error instanceof LinkError
    ? error
    : new LinkError(`${where}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
