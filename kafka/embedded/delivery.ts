/**
 * Hands records to one subscriber, one call at a time.
 *
 *   a change of partitions waits? ─▶ make it (revoked, assigned)
 *   else a partition has records? ─▶ records()      (and read the next chunk meanwhile)
 *   else                          ─▶ wait for an append, a resume or a change
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { Clock } from '../../monitoring/clock.ts'
import { RaylogError, toRaylogError } from '../../schemas/errors.ts'
import type { LogRecord, Position, Subscriber, TopicPartition } from '../log.ts'
import { type LogState, nameOf } from './state.ts'

export interface DeliveryOptions {
  state: LogState
  subscriber: Subscriber
  clock: Clock
  maxRecords: number
  /** Reads records that are not among the newest. */
  fetch(from: Position, max: number): Promise<LogRecord[]>
  /** The subscriber failed or cannot be fed; called once. */
  died(error: Error): void
}

interface Assigned extends TopicPartition {
  next: number
}

export type Delivery = ReturnType<typeof createDelivery>

/** Waits between attempts to read, ms. */
const backoff = { first: 50, most: 2_000 }

export function createDelivery({ state, subscriber, clock, maxRecords, fetch, died }: DeliveryOptions) {
  const assigned = new Map<string, Assigned>()
  /** By name; may be said of a partition before its first record. */
  const paused = new Set<string>()
  const changes: (() => Promise<void>)[] = []
  const ended = new AbortController()
  const callUnderWay = new AsyncLocalStorage<{ running: boolean }>()
  let wakeUp: (() => void) | undefined
  let turn = 0
  let ahead: { part: Assigned; from: number; records: Promise<LogRecord[]> } | undefined

  function wake(): void {
    wakeUp?.()
    wakeUp = undefined
  }

  const isReady = (part: Assigned) => !paused.has(nameOf(part)) && part.next < (state.part(part)?.high ?? 0)

  const isBusy = () => ended.signal.aborted || changes.length > 0 || [...assigned.values()].some(isReady)

  /** In turn, so that a busy partition does not starve the others. */
  function pick(): Assigned | undefined {
    const parts = [...assigned.values()]
    for (let step = 0; step < parts.length; step++) {
      const part = parts[(turn + step) % parts.length]
      if (part && isReady(part)) {
        turn = (turn + step + 1) % parts.length
        return part
      }
    }
    return undefined
  }

  const lowOf = (part: TopicPartition) => state.part(part)?.low ?? 0

  /** What retention has removed is told of, and passed. */
  function skipTo(part: Assigned, offset: number): void {
    const { topic, partition, next: from } = part
    if (from >= offset) return
    part.next = offset
    subscriber.missed?.({ topic, partition, from, to: offset })
  }

  function take(part: Assigned): LogRecord[] | Promise<LogRecord[]> {
    return state.part(part)?.recent.from(part.next, maxRecords) ?? fetch(at(part), maxRecords)
  }

  const at = ({ topic, partition, next }: Assigned): Position => ({ topic, partition, offset: next })

  /** Whether `records` is still what this part needs, after the wait for it. */
  const isCurrent = (part: Assigned, from: number) =>
    assigned.get(nameOf(part)) === part && part.next === from && !paused.has(nameOf(part)) && !ended.signal.aborted

  async function next(): Promise<{ part: Assigned; records: LogRecord[] } | undefined> {
    const early = ahead
    ahead = undefined
    const part = early && isCurrent(early.part, early.from) ? early.part : pick()
    if (!part) return undefined
    if (early?.part !== part) skipTo(part, lowOf(part))
    const taken = early?.part === part ? early.records : take(part)
    const from = part.next
    const records = taken instanceof Promise ? await taken : taken
    return isCurrent(part, from) ? { part, records } : { part, records: [] }
  }

  /** One chunk, read while the subscriber is busy with the one before. */
  function readAhead(): void {
    const part = pick()
    // A gap is told of in the part's turn, not while the subscriber is busy.
    if (!part || part.next < lowOf(part)) return
    const taken = take(part)
    if (!(taken instanceof Promise)) return
    taken.catch(() => undefined) // whoever awaits it hears of it; nobody may, after a change
    ahead = { part, from: part.next, records: taken }
  }

  async function deliver(): Promise<void> {
    const chunk = await next()
    const last = chunk?.records.at(-1)
    if (chunk && last) {
      // It may have been removed after it was looked whether it is there.
      skipTo(chunk.part, chunk.records[0]?.offset ?? 0)
      chunk.part.next = last.offset + 1
      readAhead()
      await callSubscriber(() => subscriber.records(chunk.records))
    } else if (!isBusy()) {
      await new Promise<void>(resolve => {
        wakeUp = resolve
      })
    }
  }

  async function callSubscriber(call: () => Promise<void> | void): Promise<void> {
    const mine = { running: true }
    try {
      await callUnderWay.run(mine, call)
    } catch (thrown) {
      fail(thrown)
    } finally {
      mine.running = false
    }
  }

  function fail(thrown: unknown): void {
    if (ended.signal.aborted) return
    const error = thrown instanceof Error ? thrown : new Error(String(thrown))
    end()
    died(error)
    subscriber.failed?.(error)
  }

  async function run(): Promise<void> {
    let wait = backoff.first
    while (!ended.signal.aborted) {
      try {
        const change = changes.shift()
        await (change ? change() : deliver())
        wait = backoff.first
      } catch (thrown) {
        const error = toRaylogError(thrown)
        if (error.entry.verdict !== 'wait' || error.code === 'stopping') fail(error)
        await clock.sleep(wait, ended.signal).catch(() => undefined) // ended: the loop sees it
        wait = Math.min(wait * 2, backoff.most)
      }
    }
    for (const change of changes.splice(0)) await change()
  }

  function end(): void {
    ended.abort(new RaylogError('stopping', 'the subscription is closed'))
    assigned.clear()
    wake()
  }

  /** Puts a change in line behind the call that is under way. @returns when it is made */
  function change(make: () => Promise<void>): Promise<void> {
    if (ended.signal.aborted) return Promise.resolve()
    return new Promise(resolve => {
      changes.push(() => make().finally(resolve))
      wake()
    })
  }

  return {
    wake,
    /** Begins. Never before the caller of subscribe() has its subscription in hand. */
    start(): void {
      setImmediate(() => void run())
    },
    /** The subscriber hears of them first, then of their records. */
    assign(positions: readonly Position[]): Promise<void> {
      return change(async () => {
        if (ended.signal.aborted) return
        for (const { topic, partition, offset } of positions)
          assigned.set(nameOf({ topic, partition }), { topic, partition, next: offset })
        if (!subscriber.assigned) return
        const partitions = positions.map(({ topic, partition }) => ({ topic, partition }))
        await callSubscriber(() => subscriber.assigned?.(partitions))
      })
    },
    /** Nothing of them is delivered from now on; resolves when the subscriber has finished with them. */
    revoke(partitions: readonly TopicPartition[]): Promise<void> {
      for (const name of partitions.map(nameOf)) {
        assigned.delete(name)
        paused.delete(name)
      }
      return change(async () => {
        if (ended.signal.aborted || !subscriber.revoked) return
        await callSubscriber(() => subscriber.revoked?.(partitions))
      })
    },
    pause(partitions: readonly TopicPartition[]): void {
      for (const partition of partitions) paused.add(nameOf(partition))
    },
    resume(partitions: readonly TopicPartition[]): void {
      for (const partition of partitions) paused.delete(nameOf(partition))
      wake()
    },
    /** Whether the code that asks was called by this delivery, which then cannot wait for it. */
    isInsideCall: () => callUnderWay.getStore()?.running === true,
    /** Lets go at once; a call that is under way is left to itself. */
    end,
  }
}
