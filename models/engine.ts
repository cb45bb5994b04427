/** The Models port over worker processes (models/runtime): what a process opens once and all its stages share. */
import { availableParallelism } from 'node:os'
import type { Logger } from 'pino'
import { type Clock, systemClock } from '../monitoring/clock.ts'
import type { Metrics } from '../monitoring/metrics.ts'
import type { PlatformConfig } from '../schemas/config.ts'
import { RaylogError } from '../schemas/errors.ts'
import { frameLookedAt } from '../schemas/prediction.ts'
import type { Instance, ModelVersion } from '../schemas/topics.ts'
import type { ObjectStore } from '../storage/objects.ts'
import type { ModelInfo, ModelOutput, Models, PredictOptions } from './port.ts'
import { checkStandby, type LoadedModel, nameOf, readModels, refOf } from './registry.ts'
import { routesFor } from './routing.ts'
import { type Opened, type OpenMessage, preciseNow, type Work } from './runtime/protocol.ts'
import type { Item } from './runtime/queue.ts'
import { Scheduler } from './runtime/scheduler.ts'
import { type Shared, shareModels, sharing } from './runtime/shared/share.ts'
import type { Ended } from './runtime/slot.ts'
import { createSpool, type Spool } from './runtime/spool.ts'

/** Workers that end before any was ready, for each place, before the start is given up. */
const STARTS_TRIED = 3
/** For an object that a worker fetches, ms. */
const LONGEST_FETCH_MS = 10_000
/** For a worker to end by itself at a close, after what it is at, ms. */
const CLOSE_GRACE_MS = 5_000

export interface EngineOptions {
  settings: PlatformConfig['models']
  objects: Pick<ObjectStore, 'local' | 'lend' | 'stream' | 'presign'>
  /** For copies of objects that have no file on this machine, while workers read them. */
  spoolFolder: string
  metrics: Metrics
  logger: Logger
  clock?: Clock
  /** Default true. False: the models are known and routed to, and no worker is started; `predict` is refused. */
  predicts?: boolean
}

/** Models, and what tests and `raylog doctor` want to see of the machinery. */
export interface Engine extends Models {
  /** Process ids of the workers that are ready. */
  workers(): number[]
}

/**
 * Reads the model folders and starts the workers; resolves when the first worker is ready.
 * @throws RaylogError config-invalid when a setting names a model that is not there; worker-died when no worker starts
 */
export async function openModels(options: EngineOptions): Promise<Engine> {
  const { models, problems } = await readModels(options.settings)
  const failed: ModelInfo[] = []
  checkStandby(options.settings.standby, [...models, ...problems])
  for (const { path, reason, remedy, manifest } of problems) {
    options.logger.error({ path, reason, remedy, code: 'model-invalid' }, 'a model folder is not valid')
    if (!manifest) continue
    const info: ModelInfo = { manifest, ref: refOf(manifest), state: 'failed', reason: `${path}: ${reason}` }
    failed.push(options.settings.standby.includes(nameOf(info.ref)) ? { ...info, standby: true } : info)
  }
  const engine = new ModelEngine(options, models, failed)
  try {
    await engine.opened
  } catch (thrown) {
    await engine.close()
    throw thrown
  }
  return engine
}

class ModelEngine implements Engine {
  readonly opened: Promise<void>
  readonly #options: EngineOptions
  readonly #spool: Spool
  readonly #shared: Shared | undefined
  readonly #models: readonly LoadedModel[]
  /** Of #models, by index. */
  readonly #infos: ModelInfo[]
  readonly #failed: readonly ModelInfo[]
  readonly #scheduler: Scheduler | undefined
  readonly #firstOpened = Promise.withResolvers<void>()
  #isOpen = false
  #earlyEnds = 0
  #closed: Promise<void> | undefined
  #pending = new Set<Promise<unknown>>()

  constructor(options: EngineOptions, models: readonly LoadedModel[], failed: readonly ModelInfo[]) {
    this.#options = options
    this.#spool = createSpool(options.objects, options.spoolFolder)
    this.#models = models
    this.#failed = failed
    const { predicts = true } = options
    const state = predicts ? 'loading' : 'ready'
    const { standby } = options.settings
    this.#infos = models.map(({ manifest, ref }) => ({
      ...{ manifest, ref, state, reason: null },
      ...(standby.includes(nameOf(ref)) ? { standby: true } : {}),
    }))
    this.opened = this.#firstOpened.promise
    if (models.length === 0 || !predicts) {
      this.#firstOpened.resolve()
      return
    }
    if (sharing(options.settings)) this.#shared = shareModels(models, options)
    this.#scheduler = this.#schedule()
  }

  list(): ModelInfo[] {
    const away = this.#isOpen && this.workers().length === 0
    const infos = this.#infos.map(info =>
      away && info.state === 'ready' ? { ...info, state: 'loading' as const, reason: 'no worker is running' } : info,
    )
    return [...infos, ...this.#failed]
  }

  routes(instance: Instance, { standby = false } = {}) {
    const infos = [...this.#infos, ...this.#failed].filter(info => standby || !info.standby)
    const routes = routesFor(
      infos.map(info => info.manifest),
      instance,
      this.#options.settings.rules,
    )
    return routes.map((route, at) => {
      const info = infos[at]
      return info?.state === 'failed'
        ? { ...route, accepted: false, reason: `it is not usable: ${info.reason}` }
        : route
    })
  }

  async predict(model: ModelVersion, instance: Instance, options: PredictOptions): Promise<ModelOutput> {
    if (this.#closed) throw new RaylogError('stopping', 'the models are being closed')
    options.signal.throwIfAborted()
    if (instance.rows === null) throw new RaylogError('no-pixels', 'there are no pixels in it')
    const at = this.#infos.findIndex(info => info.ref.name === model.name && info.ref.version === model.version)
    const info = this.#infos[at]
    if (!info) throw new RaylogError('no-such-model', `${nameOf(model)} is not loaded`)
    if (!this.#scheduler) throw new RaylogError('internal', 'the models of this process were opened without workers')
    if (info.state === 'failed') throw new RaylogError('no-such-model', `${nameOf(model)} failed: ${info.reason}`)
    const answer = this.#answer(this.#scheduler, at, instance, options)
    this.#pending.add(answer)
    try {
      const output = await answer
      return instance.frames > 1 ? { ...output, quality: [...output.quality, 'one-frame-of-many'] } : output
    } finally {
      this.#pending.delete(answer)
    }
  }

  giveWay(): void {
    this.#scheduler?.giveWay()
  }

  workers(): number[] {
    return this.#scheduler?.slots.flatMap(slot => (slot.ready && slot.pid !== undefined ? [slot.pid] : [])) ?? []
  }

  /** Takes nothing new, finishes what was begun (as long as the budget of a batch), and ends the workers. */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    const { clock = systemClock, settings } = this.#options
    const late = new AbortController()
    const drained = Promise.allSettled([...this.#pending])
    await Promise.race([drained, clock.sleep(settings.budgetMs, late.signal)])
    late.abort()
    await this.#scheduler?.close(CLOSE_GRACE_MS)
    await this.#shared?.close()
  }

  async #answer(
    scheduler: Scheduler,
    model: number,
    instance: Instance,
    options: PredictOptions,
  ): Promise<ModelOutput> {
    const { sha256 } = instance.object
    const { from, release } = await this.#spool(instance.object)
    try {
      const work = { from, sha256, frame: frameLookedAt(instance.frames), explain: options.priority !== 'background' }
      return await this.#queue(scheduler, model, work, options)
    } finally {
      await release()
    }
  }

  #queue(scheduler: Scheduler, model: number, work: Work, options: PredictOptions): Promise<ModelOutput> {
    const { priority, signal, leaving } = options
    signal.throwIfAborted()
    leaving?.throwIfAborted()
    return new Promise<ModelOutput>((resolve, reject) => {
      const settle = () => {
        item.settled = true
        signal.removeEventListener('abort', abort)
        leaving?.removeEventListener('abort', leave)
      }
      const abort = () => {
        settle()
        scheduler.remove(item)
        reject(signal.reason)
      }
      const leave = () => {
        if (!scheduler.remove(item)) return
        settle()
        reject(leaving?.reason)
      }
      const item: Item = {
        model,
        work,
        priority,
        arrivedAt: preciseNow(),
        deaths: 0,
        settled: false,
        resolve(output) {
          settle()
          resolve(output)
        },
        reject(error) {
          settle()
          reject(error)
        },
      }
      signal.addEventListener('abort', abort, { once: true })
      leaving?.addEventListener('abort', leave, { once: true })
      scheduler.add(item)
    })
  }

  async #open(): Promise<OpenMessage> {
    const { providers, threadsPerWorker: threads, budgetMs } = this.#options.settings
    const copies = await this.#shared?.copies
    return {
      type: 'open',
      models: this.#models.map(({ manifest, weights }, at) => ({ manifest, weights, shared: copies?.[at] })),
      // Within the budget of the batch, which would else take a silent store for a worker that hangs.
      ...{ threads, fetchMs: Math.min(LONGEST_FETCH_MS, budgetMs / 3), providers },
    }
  }

  #schedule(): Scheduler {
    const { settings, metrics, clock = systemClock } = this.#options
    return new Scheduler({
      open: this.#open(),
      models: this.#models.map(({ ref, manifest }) => ({ name: nameOf(ref), maxBatch: manifest.batch.max })),
      workers: settings.workers ?? availableParallelism(),
      batchDelayMs: settings.batchDelayMs,
      budgetMs: settings.budgetMs,
      clock,
      metrics,
      opened: opened => this.#opened(opened),
      ended: ended => this.#ended(ended),
    })
  }

  /** The first worker decides which models are ready; a later one that cannot open one of those is of no use. */
  #opened(opened: readonly Opened[]): string | undefined {
    if (this.#isOpen) {
      const missing = this.#infos.findIndex((info, at) => info.state === 'ready' && opened[at]?.ok !== true)
      const one = opened[missing]
      return missing < 0 ? undefined : `it could not open a model: ${one && !one.ok ? one.reason : 'no answer'}`
    }
    for (const [at, one] of opened.entries()) {
      const info = this.#infos[at]
      if (info) this.#note(info, one)
    }
    this.#isOpen = true
    this.#firstOpened.resolve()
    return undefined
  }

  #note(info: ModelInfo, opened: Opened): void {
    const { logger } = this.#options
    const model = nameOf(info.ref)
    info.state = opened.ok ? 'ready' : 'failed'
    if (opened.ok) {
      for (const reason of opened.passedOver)
        logger.warn({ model, reason, using: opened.provider }, 'provider passed over')
      logger.info({ model, provider: opened.provider }, 'model ready')
    } else {
      info.reason = opened.reason
      const remedy = 'Correct model.json or the weights; CONTRIBUTING.md, "Add a model", says how.'
      logger.error({ model, reason: opened.reason, remedy, code: 'model-invalid' }, 'a model is not valid')
    }
  }

  #ended({ code, reason, early }: Ended): void {
    if (this.#closed) return
    this.#options.logger.warn({ code, reason }, 'an inference worker ended; another takes its place')
    if (!early || this.#isOpen) return
    this.#earlyEnds += 1
    const tried = STARTS_TRIED * (this.#options.settings.workers ?? availableParallelism())
    if (this.#earlyEnds < tried) return
    this.#firstOpened.reject(new RaylogError('worker-died', `no inference worker could be started: ${reason}`))
  }
}
