/**
 * The one piece of code that feeds stages: opens them, decodes, limits what runs at once, retries, parks, publishes,
 * commits, measures, and drains at a stop. A stage does none of this.
 */

import type { Logger } from 'pino'
import { RaylogError } from '../schemas/errors.ts'
import type { EventOf, Topic } from '../schemas/topics.ts'
import type { Plan } from './compile.ts'
import type { Platform, Ports } from './ports.ts'
import { type FeedContext, toRecord } from './runner/attempt.ts'
import { type Feed, type FeedOptions, openFeed } from './runner/feed.ts'
import { createMissed } from './runner/missed.ts'
import { seal } from './sealed.ts'
import type { AnyStage, OpenStage, Sealed } from './stage.ts'

export interface Running extends AsyncDisposable {
  /** Resolves when all stages have stopped; rejects with the error of a stage that could not go on. */
  readonly stopped: Promise<void>
  /** Producers first, so that what they accepted is on the log; then the rest, each within runner.drainMs. */
  stop(): Promise<void>
  /** For each stage: events read and not done. */
  pending(): Record<string, number>
}

export interface RunOptions {
  random?: () => number
}

interface Live {
  stage: AnyStage
  opened: OpenStage<Topic, Topic>
  abort: AbortController
  logger: Logger
  feed?: Feed
}

/** Opens every stage of the plan, then starts to feed them. @throws what keeps a stage from opening or going on, after closing the others */
export async function run(plan: Plan, ports: Ports, platform: Platform, options: RunOptions = {}): Promise<Running> {
  const live: Live[] = []
  const stopped = Promise.withResolvers<void>()
  stopped.promise.catch(() => undefined)
  let stopping: Promise<void> | undefined
  let opening = true
  let failure: Error | undefined

  function stop(error?: Error): Promise<void> {
    stopping ??= stopAll(live, plan.config.runner.drainMs).then(
      () => (error ? stopped.reject(error) : stopped.resolve()),
      failure => stopped.reject(failure),
    )
    return stopping
  }

  try {
    await ports.log.ensureTopics(plan.topics)
    for (const { stage, config } of plan.stages) live.push(await open(stage, config, ports, platform))
    const { health, metrics } = ports
    const missed = createMissed({ health, metrics, clock: platform.clock, logger: platform.logger })
    for (const one of live) {
      const context = feedContext(plan, ports, platform, options, one)
      const failed = (error: Error) => {
        one.logger.fatal({ err: error }, 'the stage cannot go on; stopping')
        // A stop now would close stages that are about to be fed.
        if (opening) failure ??= error
        else void stop(error)
      }
      const aside = asideOf(plan, one, live)
      if (one.stage.reads.length > 0)
        one.feed = await openFeed(context, {
          concurrency: concurrencyOf(plan, one),
          ...(aside && { aside }),
          failed,
          missed: gap => missed(one.stage.name, gap),
        })
      if (failure) throw failure
    }
    opening = false
  } catch (error) {
    await stopAll(live, plan.config.runner.drainMs)
    throw error
  }
  const lag = watchLag(live, ports, platform.logger)
  void stopped.promise.catch(() => undefined).then(() => clearInterval(lag))

  return {
    stopped: stopped.promise,
    stop: () => stop(),
    pending: () => Object.fromEntries(live.flatMap(({ stage, feed }) => (feed ? [[stage.name, feed.pending()]] : []))),
    [Symbol.asyncDispose]: () => stop(),
  }
}

const defaultConcurrency = 16

const configOf = (plan: Plan, { stage }: Live): unknown =>
  plan.stages.find(candidate => candidate.stage === stage)?.config

const concurrencyOf = (plan: Plan, one: Live): number =>
  one.stage.concurrency?.(configOf(plan, one)) ?? defaultConcurrency

/** Which of its events wait while which others have work; undefined: none. */
function asideOf(plan: Plan, one: Live, live: readonly Live[]): FeedOptions['aside'] {
  const way = one.stage.givesWay?.(configOf(plan, one))
  if (!way) return undefined
  const first = live.filter(({ stage }) => stage !== one.stage && way.to.includes(stage.name))
  if (first.length === 0 || way.longestMs === 0) return undefined
  return {
    ...way,
    restingSince() {
      let since = Number.NEGATIVE_INFINITY
      for (const { feed } of first) {
        const resting = feed ? feed.restingSince() : since
        if (resting === undefined) return undefined
        since = Math.max(since, resting)
      }
      return since
    },
  }
}

async function open(stage: AnyStage, config: unknown, ports: Ports, platform: Platform): Promise<Live> {
  const abort = new AbortController()
  const logger = platform.logger.child({ stage: stage.name })
  const deps = Object.fromEntries(stage.needs.map(name => [name, ports[name]]))
  async function recordsOf<T extends Topic>(topic: T, events: readonly EventOf<T>[]) {
    abort.signal.throwIfAborted()
    if (!stage.writes.some(declared => declared.name === topic.name))
      throw new RaylogError('internal', `stage ${stage.name} does not declare that it writes ${topic.name}`)
    return Promise.all(events.map(event => toRecord(ports.codec, topic, event)))
  }
  const count = ({ name: topic }: Topic, events: number) =>
    ports.metrics.eventsOut.inc({ stage: stage.name, topic }, events)
  async function publish<T extends Topic>(topic: T, ...events: EventOf<T>[]) {
    const records = await recordsOf(topic, events)
    const positions = await ports.log.append(records)
    count(topic, records.length)
    return positions
  }
  async function sealOne<T extends Topic>(topic: T, event: EventOf<T>): Promise<Sealed> {
    const [record] = await recordsOf(topic, [event])
    if (!record) throw new RaylogError('internal', 'one event is one record')
    return { bytes: seal(record, platform.clock.now()), kept: () => count(topic, 1) }
  }
  const opened = await stage.open({ ...platform, logger, config, deps, publish, seal: sealOne, signal: abort.signal })
  return { stage, opened, abort, logger }
}

function feedContext(plan: Plan, ports: Ports, platform: Platform, options: RunOptions, one: Live): FeedContext {
  return {
    stage: one.stage,
    opened: one.opened,
    log: ports.log,
    codec: ports.codec,
    clock: platform.clock,
    logger: one.logger,
    metrics: ports.metrics,
    settings: plan.config.runner,
    random: options.random ?? Math.random,
  }
}

/** Every stage is closed even where another fails; the first failure is thrown at the end. */
async function stopAll(live: readonly Live[], drainMs: number): Promise<void> {
  const failures: unknown[] = []
  const each = (which: readonly Live[], act: (one: Live) => Promise<void> | void) =>
    Promise.all(
      which.map(async one => {
        try {
          await act(one)
        } catch (error) {
          one.logger.error({ err: error }, 'failed while stopping')
          failures.push(error)
        }
      }),
    )
  const withFeed = live.filter(one => one.feed)
  await each(
    live.filter(one => !one.feed),
    one => within(drainMs, one.opened.drain?.(), one),
  )
  await each(withFeed, async one => {
    await one.feed?.close()
    await within(drainMs, one.opened.drain?.(), one)
  })
  for (const one of live) one.abort.abort(new RaylogError('stopping', 'Raylog is stopping'))
  await each([...live].reverse(), one => within(drainMs, one.opened.close?.(), one))
  if (failures.length > 0) throw failures[0]
}

/** Waits for a stage to stop; one that takes longer is named and left. */
async function within(ms: number, work: Promise<void> | void, { stage, logger }: Live): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<'late'>(resolve => {
    timer = setTimeout(() => resolve('late'), ms)
  })
  const outcome = await Promise.race([Promise.resolve(work), late])
  clearTimeout(timer)
  if (outcome === 'late') logger.error({ stage: stage.name, ms }, 'did not stop in time')
}

/** Lag by stage and topic as a metric, every two seconds. */
function watchLag(live: readonly Live[], { log, metrics }: Ports, logger: Logger): NodeJS.Timeout {
  const timer = setInterval(async () => {
    try {
      for (const { stage } of live.filter(one => one.feed)) {
        const byTopic = new Map<string, number>()
        for (const { topic, lag } of await log.lag(stage.name)) byTopic.set(topic, (byTopic.get(topic) ?? 0) + lag)
        for (const [topic, lag] of byTopic) metrics.lag.set({ stage: stage.name, topic }, lag)
      }
    } catch (error) {
      logger.warn({ err: error }, 'lag is not known at the moment')
    }
  }, 2_000)
  timer.unref()
  return timer
}
