/**
 * Brings what waits to the workers. A load is whatever waits for a model when a worker is free, up to the model's largest
 * batch, or a few of them where they are small and short: what surrounds an image costs less by the load than one by one. With
 * a backlog of short loads each worker has a second one at hand, so that it never waits for this process.
 *
 * Background work goes to a worker only while nothing live waits. While live work keeps coming, it goes one image at a
 * time with rests between, and one worker is left free of it: a live image then waits for hardly more than it would without,
 * and what surrounds the model (decoding, the log, documents) keeps its share of the cores.
 */
import type { Clock } from '../../monitoring/clock.ts'
import type { Metrics } from '../../monitoring/metrics.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { Background } from './background.ts'
import type { DoneMessage, Marks, Opened, OpenMessage } from './protocol.ts'
import { preciseNow } from './protocol.ts'
import { type Item, type Waiting, WorkQueue } from './queue.ts'
import { type Ended, type Load, Slot } from './slot.ts'

/** Handing over a load takes a fraction of a ms: not worth a second one at hand, which no urgent image can overtake. */
const PREFETCH_BELOW_MS = 100
/** Several batches make one load while they take no longer than this, ms: an urgent image may have to wait for it. */
const LOAD_MS = 40
/** An image that was with two workers when they ended is taken to be the cause. */
const DEATHS_ALLOWED = 2
/** Longest load of background work, where its images are short: a live image may have to wait for it, ms. */
const BACKGROUND_BATCH_MS = 25
/** Said of a wait that is no longer needed. A constant: an exception of its own, with its stack, for each costs a tenth of a ms. */
const superseded = new Error('superseded')
/** Of a model that says no more than its label. */
const noMarks: Marks = { regions: [], explanation: null }
/** Share of the newest batch in the running mean of an image's time. */
const NEWEST = 0.3

export interface ScheduledModel {
  name: string
  maxBatch: number
}

export interface SchedulerOptions {
  open: Promise<OpenMessage>
  models: readonly ScheduledModel[]
  workers: number
  batchDelayMs: number
  budgetMs: number
  clock: Clock
  metrics: Metrics
  opened(models: readonly Opened[]): string | undefined
  ended(ended: Ended): void
}

export class Scheduler {
  readonly #options: SchedulerOptions
  readonly #queue = new WorkQueue()
  /** Images of loads whose worker ended, to be tried one by one. */
  readonly #suspects: Item[] = []
  readonly #slots: Slot[]
  /** ms for an image, by model; undefined until one was run. */
  readonly #imageMs: (number | undefined)[] = []
  #loads = 0
  readonly #pace = new Background()
  #delay = new AbortController()

  constructor(options: SchedulerOptions) {
    this.#options = options
    this.#slots = Array.from({ length: options.workers }, () => new Slot(this.#slotOptions()))
  }

  get slots(): readonly Slot[] {
    return this.#slots
  }

  /** Items that wait or are with a worker. */
  get size(): number {
    const held = this.#slots.reduce((sum, slot) => sum + slot.loads.reduce((n, load) => n + load.items.length, 0), 0)
    return this.#queue.size + this.#suspects.length + held
  }

  add(item: Item): void {
    if (item.priority !== 'background') this.#pace.cameHere()
    this.#queue.add(item)
    this.#pump()
  }

  /** Live work comes elsewhere. Loads that were sent stay where they are. */
  giveWay(): void {
    this.#pace.cameElsewhere()
  }

  /** Takes back an item that has not been sent. @returns whether it has not */
  remove(item: Item): boolean {
    return this.#queue.remove(item)
  }

  async close(graceMs: number): Promise<void> {
    this.#delay.abort(superseded)
    await Promise.all(this.#slots.map(slot => slot.close(graceMs)))
    const left = [
      ...this.#suspects.splice(0),
      ...this.#options.models.flatMap((_, at) => this.#queue.take(at, Infinity)),
      ...this.#options.models.flatMap((_, at) => this.#queue.takeBackground(at, Number.MAX_SAFE_INTEGER)),
    ]
    for (const item of left) item.reject(new RaylogError('stopping', 'the models are being closed'))
  }

  #slotOptions() {
    const { open, budgetMs, clock, opened } = this.#options
    return {
      open,
      budgetMs,
      clock,
      opened,
      done: (load: Load, message: DoneMessage) => this.#done(load, message),
      ended: (ended: Ended) => this.#ended(ended),
      free: () => this.#pump(),
    }
  }

  /** Sends until no worker can take more, or nothing is ready to go. */
  #pump(): void {
    this.#delay.abort(superseded)
    for (;;) {
      const idle = this.#slots.find(slot => slot.ready && slot.loads.length === 0)
      const slot = idle ?? this.#almostFree()
      const load = slot && ((idle && this.#suspect()) ?? this.#live(idle === undefined) ?? this.#background(idle))
      if (!slot || !load) return
      slot.send(load)
    }
  }

  /** A worker whose load under way is short, and that has no other yet. */
  #almostFree(): Slot | undefined {
    return this.#slots.find(slot => {
      const [load, next] = slot.loads
      if (!slot.ready || !load || next || load.suspect) return false
      return this.#isShort(load.model, load.items.length)
    })
  }

  #isShort(model: number, images: number): boolean {
    const imageMs = this.#imageMs[model]
    return imageMs !== undefined && imageMs * images <= PREFETCH_BELOW_MS
  }

  /** One suspect alone; never on all workers at once, so that one bad image does not hold up the rest. */
  #suspect(): Load | undefined {
    const ready = this.#slots.filter(slot => slot.ready).length
    const tried = this.#slots.filter(slot => slot.loads.some(load => load.suspect)).length
    if (tried > 0 && tried >= ready - 1) return undefined
    const item = this.#suspects.shift()
    if (!item) return undefined
    if (item.settled) return this.#suspect()
    return this.#make(item.model, [item], { suspect: true, background: item.priority === 'background' })
  }

  #live(ahead: boolean): Load | undefined {
    for (const waiting of this.#queue.waiting()) {
      const share = this.#share(waiting)
      if (ahead && waiting.count < share) continue
      if (this.#mayWait(waiting)) continue
      return this.#make(waiting.model, this.#queue.take(waiting.model, share))
    }
    return undefined
  }

  /** @param idle a worker that has nothing; undefined where the load would be its second */
  #background(idle: Slot | undefined): Load | undefined {
    const [waiting] = this.#queue.waitingBackground()
    // Something live waits, for company or for a worker: nothing may take its place.
    if (!waiting || this.#queue.waiting().length > 0) return undefined
    const quiet = this.#pace.isQuiet
    if (!quiet && (!idle || !this.#mayShare() || this.#rests())) return undefined
    const share = quiet ? Math.min(this.#share(waiting), this.#brief(waiting.model)) : 1
    if (!idle && waiting.count < share) return undefined
    return this.#make(waiting.model, this.#queue.takeBackground(waiting.model, share), {
      suspect: false,
      background: true,
    })
  }

  #brief(model: number): number {
    const imageMs = this.#imageMs[model]
    return imageMs === undefined ? 1 : Math.max(1, Math.floor(BACKGROUND_BATCH_MS / imageMs))
  }

  /** Whether background work is to rest; looks again when it has. */
  #rests(): boolean {
    const left = this.#pace.restMs
    if (left > 0) this.#lookAgainIn(left)
    return left > 0
  }

  /** Whether a worker is left for live work when one more has background work. Of one worker they take turns. */
  #mayShare(): boolean {
    const ready = this.#slots.filter(slot => slot.ready)
    const taken = ready.filter(slot => slot.loads.some(load => load.background)).length
    return ready.length === 1 || taken < ready.length - 1
  }

  /** Images for one load: all workers get a part of what there is of the model, and one ahead where loads are short. */
  #share({ model, count, stat }: Waiting): number {
    const most = this.#most(model, stat)
    const ready = this.#slots.filter(slot => slot.ready)
    const held = ready.flatMap(slot => slot.loads.filter(load => load.model === model))
    const total = count + held.reduce((sum, load) => sum + load.items.length, 0)
    const each = Math.min(most, Math.ceil(total / ready.length))
    // With a delay larger batches are wanted, so the parts are not halved to have one ahead.
    const deep = this.#options.batchDelayMs === 0 && this.#isShort(model, each)
    const share = Math.max(1, Math.min(most, Math.ceil(total / (deep ? 2 * ready.length : ready.length))))
    const { maxBatch = 1 } = this.#options.models[model] ?? {}
    return share > maxBatch ? share - (share % maxBatch) : share
  }

  /** Images in the largest load: whole batches, several where that many are short. The answer to a stat image waits for no other batch. */
  #most(model: number, stat: boolean): number {
    const { maxBatch = 1 } = this.#options.models[model] ?? {}
    const imageMs = this.#imageMs[model]
    return imageMs === undefined || stat ? maxBatch : maxBatch * Math.max(1, Math.floor(LOAD_MS / (imageMs * maxBatch)))
  }

  /** Whether a batch should wait for company; looks again when it has waited long enough. */
  #mayWait(waiting: Waiting): boolean {
    const { batchDelayMs, models } = this.#options
    const full = waiting.count >= (models[waiting.model]?.maxBatch ?? 1)
    const left = waiting.oldestAt + batchDelayMs - preciseNow()
    if (batchDelayMs === 0 || full || waiting.stat || left <= 0) return false
    this.#lookAgainIn(left)
    return true
  }

  #lookAgainIn(ms: number): void {
    this.#delay = new AbortController()
    // Rejects only when something else looks again first.
    this.#options.clock.sleep(Math.ceil(ms), this.#delay.signal).then(
      () => this.#pump(),
      () => undefined,
    )
  }

  #make(model: number, items: readonly Item[], as = { suspect: false, background: false }): Load {
    this.#loads += 1
    return { id: this.#loads, model, items, ...as }
  }

  #done(load: Load, message: DoneMessage): void {
    const { metrics, models } = this.#options
    const label = { model: models[load.model]?.name ?? '' }
    const before = this.#imageMs[load.model]
    const now = message.busyMs / load.items.length
    if (load.background) this.#pace.done(message.busyMs)
    this.#imageMs[load.model] = before === undefined ? now : before + NEWEST * (now - before)
    for (const { images, inferMs } of message.runs) {
      metrics.batchSize.observe(label, images)
      metrics.inferSeconds.observe(label, inferMs / 1000)
    }
    for (const [at, item] of load.items.entries()) {
      const result = message.results[at]
      const run = result?.ok ? message.runs[result.run] : undefined
      if (!result?.ok || !run) {
        metrics.queueSeconds.observe(label, Math.max(0, message.startedAt - item.arrivedAt) / 1000)
        item.reject(
          result?.ok === false
            ? new RaylogError(result.code, result.message)
            : new RaylogError('internal', 'the worker gave no result'),
        )
        continue
      }
      const { fetchMs, decodeMs, prepareMs } = result.timings
      // Also while others of the load were prepared and run.
      const queueMs = Math.max(0, run.startedAt - item.arrivedAt - fetchMs - decodeMs - prepareMs)
      metrics.queueSeconds.observe(label, queueMs / 1000)
      metrics.fetchSeconds.observe(label, fetchMs / 1000)
      metrics.decodeSeconds.observe(label, decodeMs / 1000)
      metrics.prepareSeconds.observe(label, prepareMs / 1000)
      const timings = { queueMs, fetchMs, decodeMs, prepareMs, inferMs: run.inferMs, batch: run.images }
      item.resolve({ ...result.answer, ...(result.marks ?? noMarks), timings })
    }
  }

  #ended(ended: Ended): void {
    this.#options.metrics.workerRestarts.inc({ pool: 'infer', code: ended.code })
    this.#options.ended(ended)
    const wanted = (load: Load) => load.items.filter(item => !item.settled)
    this.#queue.putBack(ended.unbegun.flatMap(wanted))
    for (const item of ended.at ? wanted(ended.at) : []) {
      item.deaths += 1
      if (item.deaths < DEATHS_ALLOWED) this.#suspects.push(item)
      else item.reject(new RaylogError('worker-killer', `its worker ended twice; the second time: ${ended.reason}`))
    }
    this.#pump()
  }
}
