/**
 * Reads partitions and hands their records to one subscriber, one call at a time.
 *
 *   leader ──fetch──▶ buffer of each partition ──records()──▶ subscriber
 *
 * A partition is fetched while its buffer is short and it is not paused, so what waits in memory is bounded by a chunk and
 * one answer for each partition, however slow the subscriber is. Nothing runs, and no timer, while nothing is wanted.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { Logger } from 'pino'
import type { Clock } from '../../monitoring/clock.ts'
import type { Gap, LogRecord, Position, Subscriber, TopicPartition } from '../log.ts'
import { backoff, isPassing, toLogError, typeOf } from './faults.ts'
import { type Fetched, fetchFrom } from './fetch.ts'
import { LinkError } from './link.ts'
import type { Offsets } from './offsets.ts'
import type { Kafkajs } from './protocol.ts'
import type { Wire } from './wire.ts'

export interface ReaderOptions {
  wire: Wire
  kafkajs: Kafkajs
  offsets: Offsets
  /** Names the connections that fetch; ended with the reader. */
  purpose: string
  subscriber: Subscriber
  maxRecords: number
  /**
   * Where to go on when the log ends before the position, as after a broker that lost the end of it: what was appended since may
   * stand below. `oldest` reads all again, and so misses nothing.
   */
  pastEnd: 'oldest' | 'newest'
  clock: Clock
  logger: Logger
  /** The subscriber failed, or cannot be fed; called once, after which nothing is delivered. */
  died(error: Error): void
}

export type Reader = ReturnType<typeof createReader>

interface Part extends TopicPartition {
  fetchAt: number
  buffer: LogRecord[]
  /** Behind the buffer; the subscriber hears of it before more is fetched. */
  gap?: Gap | undefined
  fetching: boolean
}

/** A resumed partition waits for the fetch of its neighbours: then the fetch is a short one. */
const waitMs = { all: 1_000, some: 200 }
export const nameOf = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`
export const bare = ({ topic, partition }: TopicPartition): TopicPartition => ({ topic, partition })

export function createReader(options: ReaderOptions) {
  const { wire, subscriber, maxRecords, clock, logger, offsets } = options
  const parts = new Map<string, Part>()
  const paused = new Set<string>()
  const busy = new Set<number>()
  const ended = new AbortController()
  const callUnderWay = new AsyncLocalStorage<{ running: boolean }>()
  let turn: Promise<void> = Promise.resolve()
  let delivering = false
  let recovering = false
  let failures = 0

  /** Calls of the subscriber, one after the other. A failing one ends the subscription. */
  function inTurn(call: () => Promise<void> | void): Promise<void> {
    turn = turn.then(async () => {
      if (ended.signal.aborted) return
      const mine = { running: true }
      try {
        await callUnderWay.run(mine, call)
      } catch (thrown) {
        fail(thrown instanceof Error ? thrown : new Error(String(thrown)))
      } finally {
        mine.running = false
      }
    })
    return turn
  }

  function fail(error: Error): void {
    if (ended.signal.aborted) return
    end()
    options.died(error)
  }

  const isReady = (part: Part) => (part.buffer.length > 0 || part.gap !== undefined) && !paused.has(nameOf(part))
  const isWanted = (part: Part) =>
    !part.fetching && !part.gap && part.buffer.length < maxRecords && !paused.has(nameOf(part))

  async function deliver(): Promise<void> {
    if (delivering) return
    delivering = true
    for (;;) {
      const [name, part] = [...parts].find(([, one]) => isReady(one)) ?? []
      if (name === undefined || !part || ended.signal.aborted) break
      // To the end of the line, so that a busy partition does not starve the others.
      parts.delete(name)
      parts.set(name, part)
      // Taken when the call begins: a pause that is asked for before then still holds it back.
      await inTurn(() => {
        if (parts.get(name) !== part || !isReady(part)) return
        const chunk = part.buffer.splice(0, maxRecords)
        const gap = chunk.length === 0 ? part.gap : undefined
        if (gap) part.gap = undefined
        fetchMore()
        return gap ? subscriber.missed?.(gap) : subscriber.records(chunk)
      })
    }
    delivering = false
  }

  function fetchMore(): void {
    if (ended.signal.aborted || recovering || wire.isClosed()) return
    const byLeader = Map.groupBy([...parts.values()].filter(isWanted), part => wire.leaderOf(part))
    for (const [leader, wanted] of byLeader) {
      if (leader < 0) recover(new LinkError('a partition has no leader'))
      else if (!busy.has(leader)) void fetch(leader, wanted)
    }
  }

  async function fetch(leader: number, wanted: readonly Part[]): Promise<void> {
    busy.add(leader)
    for (const part of wanted) part.fetching = true
    try {
      const positions = wanted.map(({ topic, partition, fetchAt }) => ({ topic, partition, offset: fetchAt }))
      const { wire: brokers, kafkajs, purpose } = options
      const maxWaitMs = wanted.length === parts.size ? waitMs.all : waitMs.some
      const answer = await fetchFrom(leader, positions, { wire: brokers, kafkajs, purpose, maxWaitMs })
      for (const fetched of answer) take(fetched, wanted)
    } catch (error) {
      // Given back meanwhile: the connection was ended for that.
      if (wanted.some(part => parts.get(nameOf(part)) === part)) recover(error)
    } finally {
      busy.delete(leader)
      for (const part of wanted) part.fetching = false
    }
    void deliver()
    fetchMore()
  }

  function take({ from, records, next, error }: Fetched, wanted: readonly Part[]): void {
    const part = parts.get(nameOf(from))
    // It may have been taken away, and given again, meanwhile.
    if (!part || !wanted.includes(part) || part.fetchAt !== from.offset) return
    if (error) {
      recover(error, part)
      return
    }
    failures = 0
    part.fetchAt = next
    part.buffer.push(...records)
  }

  /** Waits, asks who leads what, and goes on. What cannot pass ends the subscription. */
  function recover(error: unknown, part?: Part): void {
    const outOfRange = typeOf(error) === 'OFFSET_OUT_OF_RANGE'
    if (wire.isClosed() || ended.signal.aborted) return
    if (!outOfRange && !isPassing(error)) fail(toLogError(error))
    if (recovering || ended.signal.aborted) return
    recovering = true
    logger.debug({ err: error }, 'a fetch failed; trying again')
    void (async () => {
      try {
        await clock.sleep(Math.min(backoff.firstMs * 2 ** Math.min(failures++, 10), backoff.mostMs), ended.signal)
        if (outOfRange && part) await reposition(part)
        else await wire.refresh()
      } catch (again) {
        if (!ended.signal.aborted) logger.debug({ err: again }, 'the brokers do not answer; trying again')
      }
      recovering = false
      fetchMore()
    })()
  }

  /** Retention has passed the position: on with the oldest record. Or the log ends before it. */
  async function reposition(part: Part): Promise<void> {
    const bound = (await offsets.bounds(part.topic)).find(({ partition }) => partition === part.partition)
    if (!bound) return
    const from = part.fetchAt
    const end = options.pastEnd === 'oldest' ? bound.low : bound.high
    const to = from > bound.high ? end : Math.max(from, bound.low)
    if (to === from) return
    logger.warn({ ...bare(part), from, to }, 'the position is not in the log any more')
    part.fetchAt = to
    if (to > from) part.gap = { ...bare(part), from, to }
    void deliver()
  }

  function end(): void {
    ended.abort(new Error('closed'))
    parts.clear()
    wire.hangUp(options.purpose)
  }

  return {
    /**
     * The subscriber hears of them first, then of their records.
     * @param isHeld asked when the calls before are over: they may have been taken away again
     */
    assign(positions: readonly Position[], isHeld: () => boolean = () => true): Promise<void> {
      return inTurn(async () => {
        if (!isHeld()) return
        for (const { topic, partition, offset } of positions)
          parts.set(nameOf({ topic, partition }), { topic, partition, fetchAt: offset, buffer: [], fetching: false })
        fetchMore()
        await subscriber.assigned?.(positions.map(bare))
      })
    },
    /** Nothing is delivered from now on; resolves when the subscriber has finished with what it has, or after `withinMs`. */
    async revoke(partitions: readonly TopicPartition[], withinMs: number, lost = false): Promise<void> {
      parts.clear()
      paused.clear()
      // A fetch that waits for records would keep what comes next waiting.
      wire.hangUp(options.purpose)
      const done = new AbortController()
      const late = clock.sleep(withinMs, done.signal).catch(() => undefined)
      await Promise.race([inTurn(() => subscriber.revoked?.(partitions, lost)), late])
      done.abort()
    },
    pause(partitions: readonly TopicPartition[]): void {
      for (const partition of partitions) paused.add(nameOf(partition))
    },
    resume(partitions: readonly TopicPartition[]): void {
      for (const partition of partitions) paused.delete(nameOf(partition))
      void deliver()
      fetchMore()
    },
    /** Whether the code that asks was called by this reader, which then cannot wait for it. */
    isInsideCall: () => callUnderWay.getStore()?.running === true,
    /** Lets go at once; a call that is under way is left to itself. */
    end,
  }
}
