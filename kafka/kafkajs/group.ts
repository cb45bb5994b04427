/**
 * One subscription as a member of its group.
 *
 *   joining ─▶ reading ─▶ draining ─▶ joining …      a rebalance; signs of life go on while it drains
 *                 │  └──▶ lost ─────▶ joining …      the session ran out; what is under way is read again by the next owner
 *                 └─────▶ closed                     drained, committed, left
 *
 * Signs of life have their own timer and connection: neither a slow subscriber nor a slow broker of records delays them.
 * Commits name the generation that read, so a late one is refused by the coordinator, never taken.
 */
import { RaylogError } from '../../schemas/errors.ts'
import type { Position, SubscribeOptions, Subscriber, Subscription, TopicPartition } from '../log.ts'
import { type Commits, createCommits } from './commits.ts'
import { backoff, isPassing, patiently, toLogError } from './faults.ts'
import { createMember, type GroupSettings, type Session, type Standing } from './member.ts'
import type { OffsetStore } from './offset-store.ts'
import { bare, createReader, nameOf, type ReaderOptions } from './reader.ts'

export interface GroupOptions extends Omit<ReaderOptions, 'subscriber' | 'maxRecords' | 'died'> {
  maxRecords: number
  store: OffsetStore
  settings: GroupSettings
}

/** What is held in one generation. */
interface Holding {
  session: Session
  owned: Map<string, TopicPartition>
  commits: Commits
  /** Aborted when the partitions are let go. */
  over: AbortController
  /** Ends the wait for the next sign of life. */
  stir: AbortController
  lost: boolean
  /** Why it could not be begun. */
  failure: unknown
}

/** Topics were there when it was subscribed to: a broker that has just started may not know them yet. */
const passes = (error: unknown): boolean =>
  error instanceof RaylogError && (error.entry.verdict === 'wait' || error.code === 'not-found')

/** A group of one is ready within this time; one that waits for others to drain is waited for no longer. */
const firstJoinMs = 1_000
/** How often the leader looks whether topics have grown, ms. */
const growthMs = 10_000

/** @throws RaylogError not-found for a topic, config-invalid for a group that may not be joined */
export async function openGroup(
  group: string,
  asked: SubscribeOptions,
  subscriber: Subscriber,
  options: GroupOptions,
): Promise<Subscription> {
  const { settings, clock, logger, wire, offsets, store, purpose } = options
  const { topics, from } = asked
  const closing = new AbortController()
  const member = createMember({ ...options, group, topics, purpose: `${purpose}.group` })
  const ready = Promise.withResolvers<void>()
  const inHand = Promise.withResolvers<void>()
  let holding: Holding | undefined
  let failure: Error | undefined

  const reader = createReader({ ...options, subscriber, died: fail })

  /** The subscription is over: the partitions go to others at once. */
  function fail(error: Error): void {
    if (closing.signal.aborted) return
    failure = error
    closing.abort(error)
    ready.reject(error)
    reader.end()
    void leave().finally(() => subscriber.failed?.(error))
  }

  /** Topics as they are when it is subscribed to: what is added later is read from its beginning. */
  const atFirst = new Map<string, number>()

  /**
   * Where a group has no position yet, the one that it begins at is kept: a group that begins at the end and is killed
   * before its first commit does not miss what came meanwhile. Members of a group have done it before.
   */
  async function begin(): Promise<void> {
    for (const topic of topics) atFirst.set(topic, await wire.partitionsOf(topic))
    const fresh = await withoutPosition(
      topics.flatMap(topic =>
        Array.from({ length: atFirst.get(topic) ?? 0 }, (_, partition) => ({ topic, partition })),
      ),
      await store.committed(group),
    )
    if (fresh.length > 0) await store.set(group, fresh)
  }

  async function withoutPosition(
    partitions: readonly TopicPartition[],
    committed: readonly Position[],
  ): Promise<Position[]> {
    const known = new Set(committed.map(nameOf))
    const missing = partitions.filter(partition => !known.has(nameOf(partition)))
    const names = [...new Set(missing.map(({ topic }) => topic))]
    const bounds = new Map(await Promise.all(names.map(async name => [name, await offsets.bounds(name)] as const)))
    return missing.map(({ topic, partition }) => {
      const { low = 0, high = 0 } = bounds.get(topic)?.find(bound => bound.partition === partition) ?? {}
      const isNew = partition >= (atFirst.get(topic) ?? 0)
      return { topic, partition, offset: from === 'latest' && !isNew ? high : low }
    })
  }

  function hold(session: Session): Holding {
    const over = new AbortController()
    const mine: Holding = {
      session,
      owned: new Map(session.assigned.map(partition => [nameOf(partition), bare(partition)])),
      over,
      stir: new AbortController(),
      lost: false,
      failure: undefined,
      commits: createCommits({
        send: next => member.commit(session, next),
        lost() {
          mine.lost = true
          mine.stir.abort()
        },
        signal: over.signal,
        clock,
      }),
    }
    return mine
  }

  async function start(mine: Holding): Promise<void> {
    const committed = await patiently(() => member.committed(mine.session.assigned), {
      clock,
      deadlineMs: settings.sessionTimeoutMs,
      signal: closing.signal,
    })
    const fresh = await withoutPosition(mine.session.assigned, committed)
    await mine.commits.commit(fresh)
    const positions = [...committed, ...fresh].filter(position => mine.owned.has(nameOf(position)))
    ready.resolve()
    await inHand.promise
    await reader.assign(positions, () => !mine.over.signal.aborted)
  }

  const failed = (mine: Holding) => (error: unknown) => {
    mine.failure = error
    mine.stir.abort()
  }

  /** Says that it lives until it must let go. */
  async function live(mine: Holding): Promise<Standing> {
    let lastAnswer = clock.now()
    let lastLook = clock.now()
    while (!closing.signal.aborted) {
      await pause(settings.heartbeatMs, AbortSignal.any([closing.signal, mine.stir.signal]))
      if (mine.failure) throw mine.failure
      if (mine.lost) return 'lost'
      if (closing.signal.aborted) break
      try {
        const standing = await member.heartbeat(mine.session)
        if (standing !== 'steady') return standing
        lastAnswer = clock.now()
        if (clock.now() - lastLook > growthMs) {
          lastLook = clock.now()
          if (await hasGrown(mine.session)) return 'rebalance'
        }
      } catch (error) {
        if (!isPassing(error)) throw error
        logger.debug({ err: error, group }, 'the coordinator does not answer; trying again')
        // By now the others may have the partitions.
        if (clock.now() - lastAnswer > settings.sessionTimeoutMs) return 'lost'
      }
    }
    return 'steady'
  }

  async function hasGrown({ counted }: Session): Promise<boolean> {
    for (const [topic, count] of counted ?? []) if ((await wire.partitionsOf(topic)) > count) return true
    return false
  }

  /** The subscriber finishes and commits, within the time that the others wait for it. */
  async function drain(mine: Holding, standing: Standing): Promise<void> {
    const drained = new AbortController()
    const withinMs = settings.rebalanceTimeoutMs * 0.8
    const lost = standing === 'lost'
    const beating = lost ? undefined : beat(mine, drained.signal)
    if (lost) mine.over.abort()
    if (!reader.isInsideCall()) await reader.revoke([...mine.owned.values()], withinMs, lost)
    if (!lost) await Promise.race([mine.commits.settled(), pause(withinMs / 4, mine.over.signal)])
    mine.over.abort()
    mine.owned.clear()
    if (holding === mine) holding = undefined
    drained.abort()
    await beating
  }

  /** "Rebalance in progress" is what is expected, and counts. */
  async function beat(mine: Holding, until: AbortSignal): Promise<void> {
    while (!until.aborted) {
      await pause(settings.heartbeatMs, until)
      if (until.aborted) return
      try {
        if ((await member.heartbeat(mine.session)) === 'lost') return mine.over.abort()
      } catch (error) {
        if (!isPassing(error)) throw error
      }
    }
  }

  /** Ends early, without an error, when the signal says so. */
  const pause = (ms: number, signal: AbortSignal) => clock.sleep(ms, signal).catch(() => undefined)

  async function run(): Promise<void> {
    while (!closing.signal.aborted) {
      let mine: Holding | undefined
      try {
        mine = hold(await member.join(closing.signal))
        if (closing.signal.aborted) return
        holding = mine
        // Signs of life begin at once, and the start may take its time.
        void start(mine).catch(failed(mine))
        const standing = await live(mine)
        if (!closing.signal.aborted) await drain(mine, standing)
      } catch (error) {
        if (wire.isClosed()) reader.end()
        if (closing.signal.aborted || wire.isClosed()) return
        if (!isPassing(error) && !passes(error)) return fail(toLogError(error))
        logger.warn({ err: error, group }, 'the group is joined again')
        if (mine) await drain(mine, 'lost')
        await pause(backoff.mostMs, closing.signal)
      }
    }
  }

  async function leave(): Promise<void> {
    if (wire.isClosed()) return
    await member.leave()
    member.hangUp()
  }

  await begin()
  const running = run()
  const waited = new AbortController()
  await Promise.race([ready.promise, pause(firstJoinMs, waited.signal)]).finally(() => waited.abort())
  ready.promise.catch(() => undefined) // later failures are told to the subscriber
  setImmediate(inHand.resolve)
  let closed: Promise<void> | undefined

  async function close(): Promise<void> {
    if (failure) return
    const mine = holding
    closing.abort(new RaylogError('stopping', 'the subscription is closed'))
    // Its own connection may wait for the others to join.
    if (!mine) member.hangUp()
    else if (!wire.isClosed()) await drain(mine, 'steady')
    reader.end()
    await leave()
    await running
  }

  return {
    pause: reader.pause,
    resume: reader.resume,
    async commit(next) {
      const mine = holding
      const own = next.filter(position => mine?.owned.has(nameOf(position)))
      if (mine && own.length > 0) await mine.commits.commit(own)
    },
    assignment: () => [...(holding?.owned.values() ?? [])],
    close() {
      closed ??= close()
      return closed
    },
  }
}
