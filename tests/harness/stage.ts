/** Opens a single stage with given ports and hands it events, as the runner would, but one at a time and without a log. */
import pino, { type Logger } from 'pino'
import type { Position } from '../../kafka/log.ts'
import type { Network, PortName, Ports } from '../../kafka/ports.ts'
import type { AnyStage } from '../../kafka/stage.ts'
import { type Clock, systemClock } from '../../monitoring/clock.ts'
import type { EventOf, Topic } from '../../schemas/topics.ts'

export interface Emitted {
  topic: string
  event: unknown
}

export interface HandOptions {
  attempt?: number
  signal?: AbortSignal
}

export interface OpenedStage {
  /** Resolves with what the handler emitted. */
  hand<T extends Topic>(topic: T, event: EventOf<T>, options?: HandOptions): Promise<Emitted[]>
  /** Hands events of one key over together, as the runner does with those that waited. */
  handMany<T extends Topic>(topic: T, events: readonly EventOf<T>[]): Promise<void>
  close(): Promise<void>
}

export async function openForTest(
  stage: AnyStage,
  deps: Partial<Ports>,
  options: {
    settings?: unknown
    clock?: Clock
    site?: string
    showNames?: boolean
    researchUseOnly?: boolean
    network?: Network
    logger?: Logger
    /** Takes what the stage publishes; those that read mostly do not. */
    publish?: (topic: Topic, ...events: unknown[]) => Promise<Position[]>
  } = {},
): Promise<OpenedStage> {
  const { settings = {}, clock = systemClock, site = 'main', showNames = false, researchUseOnly = true } = options
  const missing = stage.needs.filter((name: PortName) => deps[name] === undefined)
  if (missing.length > 0) throw new Error(`${stage.name} needs ${missing.join(', ')}`)
  const stop = new AbortController()
  const opened = await stage.open({
    site,
    clock,
    dataFolder: '/nowhere',
    showNames,
    researchUseOnly,
    network: options.network ?? { peers: [], dicomTls: null },
    logger: options.logger ?? pino({ level: 'silent' }),
    config: stage.config.parse(settings),
    deps: Object.fromEntries(stage.needs.map(name => [name, deps[name]])),
    publish: options.publish ?? (() => Promise.reject(new Error('a consumer does not publish'))),
    signal: stop.signal,
  })
  return {
    async hand(topic, event, { attempt = 1, signal = stop.signal } = {}) {
      const emitted: Emitted[] = []
      const emit = (to: Topic, what: unknown) => {
        if (!stage.writes.some(written => written.name === to.name)) throw new Error(`undeclared topic ${to.name}`)
        emitted.push({ topic: to.name, event: what })
      }
      await opened.handle?.(
        { topic: topic.name, event },
        {
          signal,
          leaving: stop.signal,
          emit,
          at: { topic: topic.name, partition: 0, offset: 0 },
          attempt,
          headers: {},
        },
      )
      return emitted
    },
    async handMany(topic, events) {
      const context = { signal: stop.signal, leaving: stop.signal, emit: () => undefined, attempt: 1, headers: {} }
      const these = events.map((event, offset) => ({
        read: { topic: topic.name, event },
        context: { ...context, at: { topic: topic.name, partition: 0, offset } },
      }))
      if (!opened.handleMany) throw new Error(`${stage.name} takes one at a time`)
      await opened.handleMany(these)
    },
    async close() {
      stop.abort(new Error('the test is over'))
      await opened.close?.()
    },
  }
}
