/** One term of a replay: reads its events, asks the model, writes what it says, and keeps how far it is. */
import { gathering } from '../../kafka/gather.ts'
import type { LogRecord } from '../../kafka/log.ts'
import type { Platform, Ports } from '../../kafka/ports.ts'
import type { Publish } from '../../kafka/stage.ts'
import { type ErrorCode, RaylogError, toRaylogError } from '../../schemas/errors.ts'
import { ids } from '../../schemas/ids.ts'
import { goneFrom, isWanted, type ReplayDoc, withoutVersion } from '../../schemas/replay.ts'
import { type Instance, type ModelVersion, type Prediction, topics } from '../../schemas/topics.ts'
import { Ended, type JobRun, type Patiently, patience, runJob } from '../../storage/job-run.ts'
import { GiveWay, type GiveWaySettings } from './give-way.ts'
import { createPace } from './pace.ts'
import { recordsOf } from './read.ts'
import { Tally } from './tally.ts'
import type { Term } from './term.ts'

export interface RunContext extends Pick<Platform, 'clock' | 'logger'> {
  deps: Pick<Ports, 'log' | 'codec' | 'documents' | 'models'>
  publish: Publish<typeof topics.predictions>
  random: () => number
  settings: GiveWaySettings & {
    inFlight: number
    beatMs: number
    retries: number
  }
}

const firstBackoffMs = 100
const longestBackoffMs = 10_000
/** Nobody waits for what a replay says. */
const gatherMs = 250
const missing: ErrorCode = 'object-missing'

/** Resolves when the replay is at its end, or the term is: paused, cancelled, let go of at `stopping`, or lost. */
export async function runTerm(context: RunContext, replay: ReplayDoc, term: Term, stopping: AbortSignal) {
  const { clock, logger, deps, settings } = context
  const tally = new Tally(replay.ranges, term.doc)
  const begun = clock.now()
  const before = term.doc.activeMs
  let givesWayTo: string | null = null
  const progress = () => ({ ...tally.snapshot(), activeMs: before + clock.now() - begun, givesWayTo })
  const { log, models } = deps
  const live = new GiveWay({ log, settings, now: () => performance.now(), came: () => models.giveWay() })
  const look = async () => {
    givesWayTo = await live.look()
  }
  const run: JobRun = {
    ...{ clock, logger, beatMs: settings.beatMs, name: 'replay', id: replay.id, term },
    wanted: async () => (await deps.documents.get('replays', replay.id))?.wanted,
    save: last => term.save({ ...progress(), ...(last && { ...last, givesWayTo: null }) }),
    looked: look,
    failed: ({ code, message }) => logger.error({ replay: replay.id, code, reason: message }, 'a replay failed'),
    work: stop => work(context, replay, { tally, term, stop, look, held: () => givesWayTo !== null }),
  }
  try {
    await runJob(run, stopping)
  } finally {
    await live.close()
  }
}

interface Work {
  tally: Tally
  term: Term
  stop: AbortController
  /** Sees what live work there is. */
  look(): Promise<void>
  /** Live work is behind. */
  held(): boolean
}

/** @throws the reason of `stop`, or what makes going on useless; nothing is under way any more when it settles */
async function work(context: RunContext, replay: ReplayDoc, { tally, term, stop, look, held }: Work): Promise<void> {
  const { deps, clock, random, settings } = context
  const { signal } = stop
  const { retries } = settings
  const backoff = { firstMs: firstBackoffMs, longestMs: longestBackoffMs }
  const patiently = patience({ clock, random, retries, ...backoff }, signal)
  const pace = createPace(replay.ratePerSecond, clock)
  const running = new Set<Promise<void>>()
  /** Of them, how many wait for the model; the others wait to be told. */
  let asked = 0
  let freed = Promise.withResolvers<void>()

  function free(): void {
    freed.resolve()
    freed = Promise.withResolvers()
  }

  const tell = gathering<Prediction>({
    async append(predictions) {
      if (!term.held) throw new Ended('lost')
      await context.publish(topics.predictions, ...predictions)
    },
    clock,
    behind: () => asked > settings.inFlight / 2,
    enough: Math.ceil(settings.inFlight / 8),
    gatherMs,
  })

  /** @returns null: its object was erased since */
  async function predictionOf(instance: Instance, model: ModelVersion): Promise<Prediction | null> {
    asked++
    try {
      return await patiently(() => predict(context, replay, instance, model, signal))
    } catch (thrown) {
      if (toRaylogError(thrown).code === missing) return null
      throw thrown
    } finally {
      asked--
      free()
    }
  }

  /** @returns whether there was an object to predict from; otherwise it is kept which one is gone */
  async function one(instance: Instance, model: ModelVersion): Promise<boolean> {
    const prediction = await predictionOf(instance, model)
    signal.throwIfAborted()
    // The process may have stood still for long enough that another has it now.
    if (!term.held) throw new Ended('lost')
    if (prediction) await patiently(() => tell([prediction]))
    else {
      const gone = { id: ids.replayGone(replay.id, instance.id), replay: replay.id, ...goneFrom(instance) }
      await patiently(() => deps.documents.upsert('replayGone', [gone]))
    }
    return prediction !== null
  }

  async function start(instance: Instance, model: ModelVersion, settle: ReturnType<Tally['begin']>): Promise<void> {
    try {
      if (await one(instance, model)) settle('predicted')
      else settle('gone', missing)
    } catch (thrown) {
      if (signal.aborted) return
      const { code, entry } = toRaylogError(thrown)
      if (thrown instanceof Ended || entry.verdict === 'stop' || code === 'no-such-model') stop.abort(thrown)
      else settle('failed', code)
    }
  }

  try {
    // None is begun before it is known whether one may be.
    await patiently(look)
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
      while (asked >= settings.inFlight || running.size >= 2 * settings.inFlight) await freed.promise
      signal.throwIfAborted()
      const task = start(found.instance, found.model, settle).finally(() => {
        running.delete(task)
        free()
      })
      running.add(task)
    }
  } finally {
    await Promise.all(running)
  }
  signal.throwIfAborted()
}

/** The instance and the model that takes it, or what to count the event as. */
async function chosen({ deps }: RunContext, replay: ReplayDoc, record: LogRecord, patiently: Patiently) {
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
    // For those who judge the model, not a picture of every image that was ever taken.
    explanation: null,
    id: ids.prediction(id, model, 'replay', replay.id),
    instance: id,
    object: object.key,
    ...{ study, site, modality, patient, receivedAt, model },
    role: 'replay',
    replay: replay.id,
    predictedAt: clock.now(),
  }
}
