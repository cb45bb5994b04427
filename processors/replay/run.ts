/** One term of a replay: reads its events, asks the model, writes what it says, and keeps how far it is. */
import type { LogRecord } from '../../kafka/log.ts'
import type { Platform, Ports } from '../../kafka/ports.ts'
import type { Publish } from '../../kafka/stage.ts'
import { RaylogError, toRaylogError } from '../../schemas/errors.ts'
import { ids } from '../../schemas/ids.ts'
import { isWanted, type ReplayDoc, type ReplayState, withoutVersion } from '../../schemas/replay.ts'
import { type Instance, type ModelVersion, type Prediction, topics } from '../../schemas/topics.ts'
import { laggard } from './give-way.ts'
import { createPace } from './pace.ts'
import { recordsOf } from './read.ts'
import { Tally } from './tally.ts'
import type { Term } from './term.ts'

export interface RunContext extends Pick<Platform, 'clock' | 'logger'> {
  deps: Pick<Ports, 'log' | 'codec' | 'documents' | 'models'>
  publish: Publish<typeof topics.predictions>
  random: () => number
  settings: {
    inFlight: number
    beatMs: number
    retries: number
    giveWayTo: readonly string[]
    giveWayAbove: number
  }
}

/** Why a term ends before its replay does. */
type Ending = 'pause' | 'cancel' | 'stopping' | 'lost'
class Ended extends Error {
  readonly ending: Ending
  constructor(ending: Ending) {
    super(ending)
    this.ending = ending
  }
}

const stateAfter: Readonly<Record<Exclude<Ending, 'lost'>, ReplayState>> = {
  pause: 'paused',
  cancel: 'cancelled',
  // As it was, and nobody's: whoever comes next goes on at once.
  stopping: 'running',
}

const firstBackoffMs = 100
const longestBackoffMs = 10_000

/** Resolves when the replay is at its end, or the term is: paused, cancelled, let go of at `stopping`, or lost. */
export async function runTerm(context: RunContext, replay: ReplayDoc, term: Term, stopping: AbortSignal) {
  const { clock, logger, deps, settings } = context
  const tally = new Tally(replay.ranges, term.doc)
  const stop = new AbortController()
  const begun = clock.now()
  const before = term.doc.activeMs
  let givesWayTo: string | null = null

  const onStopping = () => stop.abort(new Ended('stopping'))
  if (stopping.aborted) onStopping()
  stopping.addEventListener('abort', onStopping, { once: true })

  const progress = () => ({ ...tally.snapshot(), activeMs: before + clock.now() - begun, givesWayTo })

  /** Until the term ends: says that it lives and how far it is, and hears what is wanted. */
  async function beat(): Promise<void> {
    while (!stop.signal.aborted) {
      await clock.sleep(settings.beatMs, stop.signal)
      try {
        const wanted = (await deps.documents.get('replays', replay.id))?.wanted ?? 'cancel'
        if (!(await term.save(progress()))) stop.abort(new Ended('lost'))
        else if (wanted !== 'run') stop.abort(new Ended(wanted))
        givesWayTo = await laggard(deps.log, settings)
      } catch (thrown) {
        logger.warn({ replay: replay.id, code: toRaylogError(thrown).code }, 'the progress of a replay was not kept')
        if (!term.held) stop.abort(new Ended('lost'))
      }
    }
  }
  const beating = beat().catch(error => stop.abort(error))

  let ending: unknown
  try {
    await work(context, replay, { tally, term, stop, held: () => givesWayTo !== null })
  } catch (thrown) {
    ending = stop.signal.aborted ? stop.signal.reason : thrown
  }
  stop.abort(new Ended('stopping'))
  await beating
  stopping.removeEventListener('abort', onStopping)
  if (ending instanceof Ended && ending.ending === 'lost') return
  const error = ending === undefined || ending instanceof Ended ? null : toRaylogError(ending)
  if (error) logger.error({ replay: replay.id, code: error.code, reason: error.message }, 'a replay failed')
  await letGo(context, term, stopping, {
    ...progress(),
    givesWayTo: null,
    owner: null,
    state: ending instanceof Ended && ending.ending !== 'lost' ? stateAfter[ending.ending] : error ? 'failed' : 'done',
    error: error && { code: error.code, message: error.message },
  })
}

/** The last word of a term. Where the store is away for longer than the lease, the next holder goes on from the one before. */
async function letGo(
  { clock, logger }: RunContext,
  term: Term,
  stopping: AbortSignal,
  last: Parameters<Term['save']>[0],
) {
  for (let attempt = 1; ; attempt++) {
    try {
      await term.save(last)
      return
    } catch (thrown) {
      const { code } = toRaylogError(thrown)
      logger.warn({ replay: term.doc.replay, code }, 'the end of a term was not kept')
      if (!term.held || stopping.aborted) return
      await clock.sleep(firstBackoffMs * attempt, stopping).catch(() => undefined)
    }
  }
}

interface Work {
  tally: Tally
  term: Term
  stop: AbortController
  /** Live work is behind. */
  held(): boolean
}

/** @throws the reason of `stop`, or what makes going on useless; nothing is under way any more when it settles */
async function work(context: RunContext, replay: ReplayDoc, { tally, term, stop, held }: Work): Promise<void> {
  const { deps, clock, settings } = context
  const { signal } = stop
  const patiently = patience(context, signal)
  const pace = createPace(replay.ratePerSecond, clock)
  const running = new Set<Promise<void>>()
  let freed = Promise.withResolvers<void>()

  async function one(instance: Instance, model: ModelVersion): Promise<void> {
    const prediction = await patiently(() => predict(context, replay, instance, model, signal))
    signal.throwIfAborted()
    // The process may have stood still for long enough that another has it now.
    if (!term.held) throw new Ended('lost')
    await patiently(() => context.publish(topics.predictions, prediction))
  }

  async function start(instance: Instance, model: ModelVersion, settle: ReturnType<Tally['begin']>): Promise<void> {
    try {
      await one(instance, model)
      settle('predicted')
    } catch (thrown) {
      if (signal.aborted) return
      const { code, entry } = toRaylogError(thrown)
      if (thrown instanceof Ended || entry.verdict === 'stop' || code === 'no-such-model') stop.abort(thrown)
      else settle(code === 'object-missing' ? 'gone' : 'failed', code)
    }
  }

  try {
    for await (const record of recordsOf(deps.log, tally, { patiently, sleep: ms => clock.sleep(ms, signal) })) {
      signal.throwIfAborted()
      const settle = tally.begin(record.partition, record.offset)
      const found = await chosen(context, replay, record, patiently)
      if (typeof found === 'string') {
        settle(found)
        continue
      }
      await pace(signal)
      while (held()) await clock.sleep(settings.beatMs / 4, signal)
      while (running.size >= settings.inFlight) await freed.promise
      signal.throwIfAborted()
      const task = start(found.instance, found.model, settle).finally(() => {
        running.delete(task)
        freed.resolve()
        freed = Promise.withResolvers()
      })
      running.add(task)
    }
  } finally {
    await Promise.all(running)
  }
  signal.throwIfAborted()
}

/** The instance and the model that takes it, or what to count the event as. */
async function chosen({ deps }: RunContext, replay: ReplayDoc, record: LogRecord, patiently: PatientlyFn) {
  let instance: Instance
  try {
    instance = await patiently(() => deps.codec.decode(topics.instances, record))
  } catch (thrown) {
    if (toRaylogError(thrown).code === 'bad-record') return 'unreadable' as const
    throw thrown
  }
  if (!isWanted(replay, instance, record.timestamp)) return 'outside' as const
  const routes = deps.models.routes(withoutVersion(instance), { standby: true })
  const { name, version } = replay.model
  const route = routes.find(({ model }) => model.name === name && model.version === version)
  if (!route) throw new RaylogError('no-such-model', `${name}@${version} is not loaded`)
  return route.accepted ? { instance, model: route.model } : ('refused' as const)
}

async function predict(
  { deps, clock }: RunContext,
  replay: ReplayDoc,
  instance: Instance,
  model: ModelVersion,
  signal: AbortSignal,
): Promise<Prediction> {
  const { id, study, site, object, modality, patient, receivedAt } = instance
  const output = await deps.models.predict(model, instance, { priority: 'background', signal })
  return {
    ...output,
    id: ids.prediction(id, model, 'replay', replay.id),
    instance: id,
    object: object.key,
    ...{ study, site, modality, patient, receivedAt, model },
    role: 'replay',
    replay: replay.id,
    predictedAt: clock.now(),
  }
}

type PatientlyFn = ReturnType<typeof patience>

/** Waits out what is away, and tries a few times what may pass; the error otherwise. */
function patience({ clock, random, settings }: RunContext, signal: AbortSignal) {
  return async <T>(attemptIt: () => Promise<T>): Promise<T> => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await attemptIt()
      } catch (thrown) {
        signal.throwIfAborted()
        if (thrown instanceof Ended) throw thrown
        const { verdict } = toRaylogError(thrown).entry
        if (verdict !== 'wait' && !(verdict === 'retry' && attempt <= settings.retries)) throw thrown
        const full = Math.min(longestBackoffMs, firstBackoffMs * 2 ** Math.min(attempt - 1, 20))
        await clock.sleep(full / 2 + (random() * full) / 2, signal)
      }
    }
  }
}
