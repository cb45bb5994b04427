/**
 * Feeds one stage from the log.
 *
 *   assigned ─▶ reading ⇄ paused ─▶ draining ─▶ let go
 *
 * Reading: records are handed to the scheduler. Paused: so many wait that the partition is told to hold back, until half
 * of them are done. Draining: nothing new begins, what runs may finish until the deadline (or leaves by itself, where it has only
 * waited for its turn), then it is aborted; what is contiguously done is committed, and the rest will be read again. A partition that is lost already is not drained: what
 * runs is aborted at once, for its new owner does it.
 */
import { RaylogError, toRaylogError } from '../../schemas/errors.ts'
import type { Topic } from '../../schemas/topics.ts'
import { gathering } from '../gather.ts'
import type { Gap, LogRecord, NewRecord, Subscription, TopicPartition } from '../log.ts'
import type { GivesWay } from '../stage.ts'
import { Aside } from './aside.ts'
import { type AttemptContext, type FeedContext, process, processMany } from './attempt.ts'
import { Scheduler } from './scheduler.ts'
import { Watermark } from './watermark.ts'

export interface Feed {
  /** Events that were read and are not done. */
  pending(): number
  /** When it last had one, ms since the epoch; undefined: it has now. */
  restingSince(): number | undefined
  /** Drains, commits and leaves the group. Afterwards `stuck()` says what had to be abandoned. */
  close(): Promise<void>
  stuck(): number
}

/** What was done since then is done again after a crash; on a broker each commit is a record of its own, ms. */
const commitEveryMs = 250

interface Held {
  partition: TopicPartition
  watermark: Watermark
  /** Aborted when the partition is let go of: nothing new begins. */
  leave: AbortController
  /** Aborted when its time is up. */
  abort: AbortController
  /** Its records may wait for other stages. */
  waits: boolean
  /** Its records may be handed over together with others of their key. */
  joins: boolean
  paused: boolean
  running: Set<Promise<unknown>>
  committed: number | undefined
}

/** A record that was read, and has not been begun or is under way. */
interface Waiting {
  mine: Held
  record: LogRecord
  /** Tells the watermark. */
  done: () => void
}

/** Of one key at once: more would make the next key wait for longer than it is worth. */
const mostTogether = 64

const timeOf = ({ leave, abort }: Held) => ({ leaving: leave.signal, signal: abort.signal })

const nameOf = ({ topic, partition }: TopicPartition) => `${topic}/${partition}`

export interface FeedOptions {
  concurrency: number
  /** Called once with an error after which the stage cannot go on. */
  failed(error: Error): void
  missed(gap: Gap): void
  /** Which events may wait, and for whom (Aside). */
  aside?: Omit<GivesWay<Topic>, 'to'> & { restingSince(): number | undefined }
}

export async function openFeed(surroundings: FeedContext, options: FeedOptions): Promise<Feed> {
  const { stage, opened, log, clock, logger, settings } = surroundings
  const scheduler = new Scheduler<Waiting>({
    limit: options.concurrency,
    byKey: stage.order === 'key',
    most: mostTogether,
    joins: ({ mine }) => mine.joins,
    run: these => begin(these),
    freed: () => aside?.look(),
  })
  const { places = 0 } = options.aside ?? {}
  /** Of those that waited, how many have begun and are not through. */
  let asideBegun = 0
  const aside =
    options.aside &&
    new Aside<Waiting>({
      ...{ clock, longestMs: options.aside.longestMs, restingSince: options.aside.restingSince },
      // Beside what else the stage has to do: behind that, the old ones would wait for as long as it goes on.
      free: () => places - asideBegun,
      begin(one) {
        asideBegun += 1
        // In any order: a key of its own.
        scheduler.submit(`${nameOf(one.record)}/${one.record.offset}`, one)
      },
    })
  const enough = Math.ceil(options.concurrency / 4)
  const append = gathering<NewRecord>({
    append: records => log.append(records),
    clock,
    behind: () => scheduler.waiting > 0,
    enough,
    // Where order counts the next event of a key waits for this one.
    gatherMs: stage.order === 'key' ? 20 : 100,
  })
  const context: AttemptContext = { ...surroundings, append }
  const held = new Map<string, Held>()
  const highWater = Math.max(256, options.concurrency * 4)
  let subscription: Subscription | undefined
  let abandoned = 0
  /** When a record last came or was done. */
  let lastAt = Number.NEGATIVE_INFINITY
  let closing = false
  let committing: Promise<void> = Promise.resolve()
  let commitTimer: NodeJS.Timeout | undefined

  function hold({ topic, partition }: TopicPartition): Held {
    const name = nameOf({ topic, partition })
    const found = held.get(name)
    if (found) return found
    const fresh: Held = {
      partition: { topic, partition },
      watermark: new Watermark(),
      leave: new AbortController(),
      abort: new AbortController(),
      waits: options.aside?.topics.some(({ name }) => name === topic) ?? false,
      joins: opened.handleMany !== undefined && (stage.together ?? []).some(({ name }) => name === topic),
      paused: false,
      running: new Set(),
      committed: undefined,
    }
    held.set(name, fresh)
    return fresh
  }

  /** Those of one turn, together where the stage can, and otherwise one after the other. */
  async function begin(these: readonly Waiting[]): Promise<void> {
    const wanted = these.filter(({ mine }) => !mine.leave.signal.aborted)
    const work = wanted.length > 1 ? many(wanted) : Promise.all(wanted.map(alone))
    const theirs = new Set(wanted.map(({ mine }) => mine))
    for (const { running } of theirs) running.add(work)
    try {
      await work
    } finally {
      for (const { running } of theirs) running.delete(work)
      asideBegun -= these.filter(({ mine }) => mine.waits).length
    }
  }

  async function many(these: readonly Waiting[]): Promise<void> {
    const together = these.map(({ mine, record }) => ({ record, time: timeOf(mine) }))
    if (await processMany(context, together)) for (const one of these) finished(one)
    else for (const one of these) await alone(one)
  }

  async function alone({ mine, record, done }: Waiting): Promise<void> {
    if (mine.leave.signal.aborted) return
    try {
      await process(context, record, timeOf(mine))
      finished({ mine, record, done })
    } catch (error) {
      // The record stays uncommitted, for its next reader. Anything else ends the stage.
      const { abort, leave } = mine
      if (!abort.signal.aborted && error !== leave.signal.reason) options.failed(toRaylogError(error))
    }
  }

  function finished({ mine, done }: Waiting): void {
    done()
    lastAt = clock.now()
    // Aborted: it finished all the same, but its partition may be another's by now.
    if (mine.abort.signal.aborted) return
    scheduleCommit()
    relax(mine)
  }

  function relax(mine: Held): void {
    if (!mine.paused || mine.watermark.pending > highWater / 2) return
    mine.paused = false
    subscription?.resume([mine.partition])
  }

  function scheduleCommit(): void {
    commitTimer ??= setTimeout(() => {
      commitTimer = undefined
      void commit([...held.values()])
    }, commitEveryMs)
  }

  /** One commit at a time, so that an older one never overtakes a newer. A failure is tried again by the next. */
  function commit(which: readonly Held[]): Promise<void> {
    committing = committing.then(async () => {
      const next = which.flatMap(mine => {
        const { partition, watermark, committed } = mine
        const offset = watermark.position
        return offset === undefined || offset === committed ? [] : [{ mine, position: { ...partition, offset } }]
      })
      if (next.length === 0 || !subscription) return
      try {
        await subscription.commit(next.map(({ position }) => position))
        // Of what was held then: the partition may have gone and come back meanwhile, with nothing committed.
        for (const { mine, position } of next) mine.committed = position.offset
      } catch (error) {
        logger.warn({ err: error }, 'a commit failed; the next one includes it')
        scheduleCommit()
      }
    })
    return committing
  }

  function forget(which: readonly Held[]): void {
    for (const mine of which) held.delete(nameOf(mine.partition))
  }

  function abandon(which: readonly Held[]): void {
    const reason = new RaylogError('stopping', `stage ${stage.name} has lost its partitions`)
    for (const { leave, abort } of which) {
      leave.abort(reason)
      abort.abort(reason)
    }
    forget(which)
  }

  async function letGo(which: readonly Held[]): Promise<void> {
    const letting = new RaylogError('stopping', `stage ${stage.name} lets go of its partitions`)
    for (const { leave } of which) leave.abort(letting)
    const running = () => which.flatMap(mine => [...mine.running])
    const timer = new AbortController()
    const drained = Promise.all(running()).then(() => true)
    const late = clock.sleep(settings.drainMs, timer.signal).then(
      () => false,
      () => true,
    )
    const inTime = await Promise.race([drained, late])
    timer.abort()
    if (!inTime) {
      abandoned += running().length
      logger.error({ events: running().length }, 'did not finish in time; aborted, and will be read again')
      const reason = new RaylogError('stopping', `stage ${stage.name} did not finish within ${settings.drainMs} ms`)
      for (const mine of which) mine.abort.abort(reason)
    }
    await commit(which)
    forget(which)
  }

  subscription = await log.subscribe(
    { group: stage.name, topics: stage.reads.map(topic => topic.name), from: 'earliest' },
    {
      records(records) {
        const first = records[0]
        // What came while the feed drained was not begun. A record after it, if it were, would be committed past it.
        if (!first || closing) return
        const mine = hold(first)
        lastAt = clock.now()
        for (const record of records) {
          const one = { mine, record, done: mine.watermark.begin(record.offset) }
          if (mine.waits) aside?.hold(one, record.timestamp)
          else scheduler.submit(record.key, one)
        }
        if (mine.watermark.pending >= highWater && !mine.paused) {
          mine.paused = true
          subscription?.pause([mine.partition])
        }
      },
      assigned(partitions) {
        for (const partition of partitions) hold(partition)
      },
      revoked(partitions, lost) {
        const which = partitions.flatMap(partition => held.get(nameOf(partition)) ?? [])
        return lost ? abandon(which) : letGo(which)
      },
      missed(gap) {
        options.missed(gap)
        // Passed for good: with nothing behind it, it would be missed again at each start.
        hold(gap).watermark.begin(gap.to - 1)()
        scheduleCommit()
      },
      failed: options.failed,
    },
  )

  const pending = () => [...held.values()].reduce((sum, mine) => sum + mine.watermark.pending, 0)
  return {
    pending,
    restingSince: () => (pending() > 0 ? undefined : lastAt),
    stuck: () => abandoned,
    async close() {
      closing = true
      aside?.close()
      await letGo([...held.values()])
      clearTimeout(commitTimer)
      await committing
      await subscription?.close()
    },
  }
}
