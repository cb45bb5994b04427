/**
 * Moves studies from one phase to the next. Every move is a compare-and-set on the study's state, so any number of
 * replicas may try: one is let. What a crash leaves behind is found by its time and gone on with.
 *
 * An assessment is kept in the state before it is put on the log. Whoever finds one that was kept and not finished looks
 * for it on the log first, and puts just that there: a revision is on the log once, and always says the same.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Ports } from '../../kafka/ports.ts'
import type { Reading } from '../../kafka/reading.ts'
import type { Publish } from '../../kafka/stage.ts'
import type { Clock } from '../../monitoring/clock.ts'
import { type StudyAssessed, topics } from '../../schemas/topics.ts'
import { assemble, saysMore } from './assembly.ts'
import { complete, counts, expectedOf, freshState, reopen, revise, type State, whyComplete } from './completion.ts'
import type { Parts } from './findings.ts'
import { missingOf, partsOf } from './parts.ts'
import { type Config, idleMsOf } from './settings.ts'

export interface AssessorOptions {
  deps: Pick<Ports, 'documents' | 'log' | 'codec' | 'models'>
  publish: Publish<typeof topics.studies>
  clock: Clock
  config: Config
  reading: Reading
}

/** Clocks of processes and brokers may differ so much, ms. */
const skewMs = 60_000

/** What must be read before anything is said: what this stage said itself, and what people said. */
const said = [topics.studies, topics.feedback, topics.requests]

export class Assessor {
  readonly #options: AssessorOptions
  readonly #since: number
  #informed = false

  constructor(options: AssessorOptions) {
    this.#options = options
    this.#since = options.clock.now()
  }

  /** Writes the state if nobody else has since it was read. @returns what is kept now; undefined when another was first */
  async move(state: State): Promise<State | undefined> {
    const next = { ...state, version: state.version + 1 }
    return (await this.#options.deps.documents.advance('studyStates', next)) ? next : undefined
  }

  /**
   * Changes what is kept of a study, or begins it; again until nobody was first.
   * @param change is called with what is kept now, and gives what is to be kept
   * @param read what was read a moment ago, if it was
   */
  async keep(id: string, change: (state: State) => State, read?: State): Promise<State> {
    const { deps, clock, config } = this.#options
    for (let attempt = 1; ; attempt++) {
      const known = attempt === 1 && read ? read : await this.#read(id)
      const next = change(known ?? freshState(id, clock.now(), config))
      if (known && isDeepStrictEqual(next, known)) return known
      if (known) {
        const moved = await this.move(next)
        if (moved) return moved
      } else if (await deps.documents.insert('studyStates', next)) return next
    }
  }

  /** Does what a study needs whose images or answers may be there. Safe at any moment, by anyone, twice. */
  async consider(known: State): Promise<void> {
    for (let state: State | undefined = known; state; ) {
      const next = await this.#step(state, this.#options.clock.now())
      if (next === 'rest') return
      state = next ?? (await this.#read(known.id))
    }
  }

  /** The same for one whose time has come, unless another has seen to it. */
  async considerDue({ id }: State): Promise<void> {
    const state = await this.#read(id)
    if (state && state.phase !== 'settled' && state.dueAt <= this.#options.clock.now()) await this.consider(state)
  }

  #read(id: string): Promise<State | undefined> {
    return this.#options.deps.documents.get('studyStates', id)
  }

  /** @returns the state after a move; undefined when another moved it; `rest` when there is nothing to do now */
  #step(state: State, now: number): Promise<State | undefined | 'rest'> {
    switch (state.phase) {
      case 'gathering':
        return this.#gather(state, now)
      case 'waiting':
        return this.#assess(state, now)
      case 'writing':
        return now < state.dueAt ? Promise.resolve('rest') : this.#takeOver(state, now)
      case 'settled':
        return this.#lookForLate(state, now)
    }
  }

  async #gather(state: State, now: number): Promise<State | undefined | 'rest'> {
    const { deps, config, reading } = this.#options
    if (now < state.dueAt && !counts(state)) return 'rest'
    const images = await deps.documents.count('studyImages', { study: state.id })
    const why = whyComplete(state, images)
    if (why) return this.move(complete(state, why, now, config))
    if (now < state.dueAt) return 'rest'
    // Asked for before its first image came.
    if (images === 0) return (await this.move({ ...state, dueAt: now + config.otherIdleMs })) && 'rest'
    const quietUntil = (await this.#newestImageAt(state)) + idleMsOf(config, state.modality)
    if (now < quietUntil) return (await this.move({ ...state, dueAt: quietUntil })) && 'rest'
    // Its next image may be on the log already, unread because this stage is behind.
    if (!(await reading.isThrough(state, [topics.instances], quietUntil)))
      return (await this.move({ ...state, dueAt: now + config.lookMs })) && 'rest'
    return this.move(complete(state, { completedBy: 'idle', actor: null, expected: expectedOf(state) }, now, config))
  }

  async #newestImageAt({ id, firstAt }: State): Promise<number> {
    const newest = { where: { study: id }, order: 'newest' as const, limit: 1 }
    const { items } = await this.#options.deps.documents.find('studyImages', newest)
    return items[0]?.seenAt ?? firstAt
  }

  async #assess(state: State, now: number): Promise<State | undefined | 'rest'> {
    const { deps, config, reading } = this.#options
    if (now < state.heldUntil) return 'rest'
    const late = now >= state.deadline
    // An answer may be on the log already, unread because this stage is behind.
    const givesUp = late && (await reading.isThrough(state, [topics.predictions, topics.parked], state.deadline))
    const again = late ? now + config.lookMs : state.deadline
    const answers = await deps.documents.count('studyAnswers', { study: state.id })
    if (answers < state.enoughAnswers && !givesUp)
      return state.dueAt > now ? 'rest' : (await this.move({ ...state, dueAt: again })) && 'rest'
    const parts = await partsOf(deps.documents, state.id)
    if (!(await this.#isInformed(state, parts)))
      return (await this.move({ ...state, dueAt: now + config.lookMs })) && 'rest'
    const outstanding = new Set(missingOf(parts).flatMap(({ instance, code }) => (code === null ? [instance] : [])))
    if (outstanding.size > 0 && !givesUp) {
      // Each image that lacks an answer needs one more event at least.
      const enoughAnswers = parts.answers.length + outstanding.size
      return (await this.move({ ...state, dueAt: again, enoughAnswers })) && 'rest'
    }
    const rules = config.findings
    const event = assemble(state, { parts, rules, models: deps.models.list(), now })
    const includes = {
      images: parts.images.length,
      answers: parts.answers.length,
      verdictsTo: Math.max(0, ...parts.verdicts.map(({ at }) => at)),
    }
    if (!saysMore(event, state.assessed)) return this.move({ ...state, phase: 'settled', dueAt: now, includes })
    const writing = {
      phase: 'writing',
      dueAt: now + config.leaseMs,
      claimedAt: now,
      includes,
      assessed: event,
    } as const
    const mine = await this.move({ ...state, ...writing })
    return mine && this.#write(mine, event)
  }

  /**
   * Whether all is read again that was on the log when this process began, as far as it says more than the documents: where
   * they are new, or older than the log, a study would be said to be what it no longer is.
   */
  async #isInformed(state: State, { images }: Parts): Promise<boolean> {
    const { reading } = this.#options
    this.#informed ||= await reading.isThrough({ partitions: {} }, said, this.#since)
    const known = new Set(images.map(({ id }) => id))
    const lacksSome = state.assessed?.images.some(id => !known.has(id)) ?? false
    return this.#informed && (!lacksSome || (await reading.isThrough(state, [topics.instances], this.#since)))
  }

  /** Puts it on the log and settles. Nobody else does while the lease lasts. */
  async #write(state: State, event: StudyAssessed): Promise<State | undefined> {
    const { publish, clock } = this.#options
    // The process may have stood still for so long that another is at it.
    if (clock.now() >= state.dueAt) return undefined
    try {
      await publish(topics.studies, event)
    } catch (error) {
      // It may be there all the same: whoever comes next looks, and need not wait for the lease.
      const now = await this.#read(state.id)
      if (now?.phase === 'writing' && now.claimedAt === state.claimedAt) await this.move({ ...now, dueAt: clock.now() })
      throw error
    }
    return this.#settle(event)
  }

  /** What it knows of its images may have been added to meanwhile. */
  async #settle({ id, study }: StudyAssessed): Promise<State | undefined> {
    for (;;) {
      const state = await this.#read(study)
      if (state?.phase !== 'writing' || state.assessed?.id !== id) return state
      const settled = await this.move({ ...state, phase: 'settled', dueAt: this.#options.clock.now() })
      if (settled) return settled
    }
  }

  /** Someone began to write and has not finished. */
  async #takeOver(state: State, now: number): Promise<State | undefined> {
    const mine = await this.move({ ...state, dueAt: now + this.#options.config.leaseMs })
    if (!mine?.assessed) return undefined
    return (await this.#isOnLog(mine.assessed, mine.claimedAt))
      ? this.#settle(mine.assessed)
      : this.#write(mine, mine.assessed)
  }

  async #isOnLog({ id, study }: StudyAssessed, since: number): Promise<boolean> {
    const { log, codec } = this.#options.deps
    const { name } = topics.studies
    const bounds = (await log.topics()).find(topic => topic.name === name)?.bounds ?? []
    for (const from of await log.offsetsAt(name, since - skewMs)) {
      const high = bounds.find(({ partition }) => partition === from.partition)?.high ?? 0
      for (let at = from; at.offset < high; ) {
        const records = await log.read(at, 500)
        for (const record of records) {
          if (record.key === study && (await codec.decode(topics.studies, record)).id === id) return true
        }
        const last = records.at(-1)
        if (!last) break
        at = { ...at, offset: last.offset + 1 }
      }
    }
    return false
  }

  /** What came while it was being written, or comes now. */
  async #lookForLate(state: State, now: number): Promise<State | undefined | 'rest'> {
    const { documents } = this.#options.deps
    const { includes, id } = state
    const [images, answers, verdicts] = await Promise.all([
      documents.count('studyImages', { study: id }),
      documents.count('studyAnswers', { study: id }),
      documents.find('studyVerdicts', { where: { study: id }, order: 'newest', limit: 1 }),
    ])
    if (images > includes.images) return this.move(reopen(state, now, this.#options.config))
    const newest = verdicts.items[0]?.at ?? 0
    if (answers > includes.answers || newest > includes.verdictsTo)
      return this.move(revise(state, now, this.#options.config))
    return 'rest'
  }
}
