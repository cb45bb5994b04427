/** What a replay would do, found out without doing it: nothing is written. */
import { z } from 'zod'
import type { LogRecord } from '../../kafka/log.ts'
import type { Ports } from '../../kafka/ports.ts'
import type { Clock } from '../../monitoring/clock.ts'
import { RaylogError } from '../../schemas/errors.ts'
import {
  type Gone,
  goneFrom,
  isWanted,
  type ReplayRange,
  type ReplayRequest,
  withoutVersion,
} from '../../schemas/replay.ts'
import { type Instance, type Prediction, topics } from '../../schemas/topics.ts'
import { goneShape } from './replays-gone.ts'
import { newestRun } from './replays-view.ts'

/** Of those that are gone, so many are named. */
const goneShown = 50

export const planShape = z.object({
  events: z.int().describe('in the range, before the filters'),
  looked: z.int().describe('events that were looked at'),
  complete: z.boolean().describe('all were looked at; otherwise the counts are scaled from those that were'),
  matched: z.int().describe('within the time and the filters'),
  accepted: z.int().describe('the model takes them'),
  unreadable: z.int(),
  refused: z.record(z.string(), z.int()).describe('why the model does not take others, and how many'),
  objects: z.object({
    checked: z.int().describe('a sample where there are many'),
    gone: z.int().describe('erased since, of those checked'),
    first: z.array(goneShape).describe(`the first of those, by arrival: ${goneShown} at most`),
  }),
  perSecond: z.number().nullable().describe('images; null where nothing is known of the time that one takes'),
  durationMs: z.number().nullable(),
  productionVersions: z.record(z.string(), z.int()).describe('what it would be compared with: predictions by version'),
})
export type Plan = z.infer<typeof planShape>

type PlanPorts = Pick<Ports, 'log' | 'codec' | 'models' | 'objects' | 'documents'>

const chunk = 500
/** Time to look at events, ms: the answer is wanted now. */
const budgetMs = 15_000
const objectsChecked = 1_000
const mostReasons = 8

/** The offsets between two times, as they are now. */
export async function rangesOf(
  log: Ports['log'],
  { from, to }: Pick<ReplayRequest, 'from' | 'to'>,
): Promise<ReplayRange[]> {
  const topic = topics.instances.name
  const [first, end] = await Promise.all([log.offsetsAt(topic, from), log.offsetsAt(topic, to)])
  return first
    .map(({ partition, offset }) => ({
      partition,
      from: offset,
      to: Math.max(offset, end.find(one => one.partition === partition)?.offset ?? offset),
    }))
    .sort((a, b) => a.partition - b.partition)
}

/** @throws RaylogError no-such-model */
export function loadedModel({ models }: Pick<Ports, 'models'>, model: string) {
  const found = models.list().find(({ ref }) => `${ref.name}@${ref.version}` === model)
  if (!found)
    throw new RaylogError('no-such-model', `${model} is not loaded here; "raylog models" lists those that are`)
  if (found.state === 'failed') throw new RaylogError('no-such-model', `${model} is not usable: ${found.reason}`)
  return found
}

export async function planReplay(ports: PlanPorts, clock: Clock, request: ReplayRequest): Promise<Plan> {
  loadedModel(ports, request.model)
  const ranges = await rangesOf(ports.log, request)
  const events = ranges.reduce((sum, { from, to }) => sum + to - from, 0)
  const seen = await look(ports, clock, request, ranges)
  const scale = seen.looked > 0 ? Math.max(1, events / seen.looked) : 1
  const scaled = (count: number) => (seen.complete ? count : Math.round(count * scale))
  const gone = (await goneOf(ports, seen.sample)).sort((a, b) => a.receivedAt - b.receivedAt)
  const accepted = scaled(seen.accepted)
  const perSecond = await expectedRate(ports, request)
  const reasons = [...seen.refused].sort((a, b) => b[1] - a[1])
  return {
    events,
    looked: seen.looked,
    complete: seen.complete,
    matched: scaled(seen.matched),
    accepted,
    unreadable: scaled(seen.unreadable),
    refused: Object.fromEntries(reasons.slice(0, mostReasons).map(([why, count]) => [why, scaled(count)])),
    objects: { checked: seen.sample.length, gone: gone.length, first: gone.slice(0, goneShown) },
    perSecond,
    durationMs: perSecond === null ? null : (accepted / perSecond) * 1000,
    productionVersions: await versionsOf(ports, request),
  }
}

async function look({ log, codec, models }: PlanPorts, clock: Clock, request: ReplayRequest, ranges: ReplayRange[]) {
  const seen = {
    ...{ looked: 0, matched: 0, accepted: 0, unreadable: 0, complete: true },
    refused: new Map<string, number>(),
    sample: [] as Gone[],
  }
  let stride = 1
  const until = clock.now() + budgetMs
  const decode = (record: LogRecord): Promise<Instance | undefined> =>
    codec.decode(topics.instances, record).catch(error => {
      if (error instanceof RaylogError && error.code === 'bad-record') return undefined
      throw error
    })
  for await (const record of inTurns(log, ranges)) {
    if (clock.now() > until) {
      seen.complete = false
      break
    }
    seen.looked += 1
    const instance = await decode(record)
    if (!instance) seen.unreadable += 1
    else if (isWanted(request, instance, record.timestamp)) {
      seen.matched += 1
      const route = models
        .routes(withoutVersion(instance), { standby: true })
        .find(({ model }) => `${model.name}@${model.version}` === request.model)
      if (route?.accepted) keep(instance)
      else if (route) seen.refused.set(route.reason, (seen.refused.get(route.reason) ?? 0) + 1)
    }
  }
  return seen

  /** Every one at first; each time that they are too many, every other one goes, and from then on half as many come. */
  function keep(instance: Instance): void {
    if (seen.accepted++ % stride !== 0) return
    seen.sample.push(goneFrom(instance))
    if (seen.sample.length < 2 * objectsChecked) return
    seen.sample = seen.sample.filter((_, at) => at % 2 === 0)
    stride *= 2
  }
}

/** Records of all ranges, the partitions taking turns: where the time ends early, what was seen is of all of them. */
async function* inTurns(log: Ports['log'], ranges: readonly ReplayRange[]) {
  const left = ranges.map(range => ({ ...range }))
  for (let more = true; more; ) {
    more = false
    for (const range of left) {
      if (range.from >= range.to) continue
      const records = await log.read(
        { topic: topics.instances.name, partition: range.partition, offset: range.from },
        Math.min(chunk, range.to - range.from),
      )
      const within = records.filter(({ offset }) => offset < range.to)
      yield* within
      range.from = (within.at(-1)?.offset ?? range.to) + 1
      more ||= range.from < range.to
    }
  }
}

async function goneOf({ objects }: PlanPorts, sample: readonly Gone[]): Promise<Gone[]> {
  const gone: Gone[] = []
  for (let at = 0; at < sample.length; at += 32) {
    const some = sample.slice(at, at + 32)
    const stats = await Promise.all(some.map(({ object }) => objects.stat(object)))
    gone.push(...some.filter((_, n) => stats[n] === undefined))
  }
  return gone
}

/**
 * What an earlier replay of the model did; without one, from how long its newest images took a worker. Never more than the
 * rate that is asked for.
 */
async function expectedRate({ documents }: PlanPorts, request: ReplayRequest): Promise<number | null> {
  const [name = ''] = request.model.split('@')
  const possible = (await earlierRate(documents, name)) ?? (await workerRate(documents, name))
  if (request.ratePerSecond === null) return possible
  return Math.min(request.ratePerSecond, possible ?? request.ratePerSecond)
}

async function earlierRate(documents: Ports['documents'], name: string): Promise<number | null> {
  const { items } = await documents.find('replays', { where: { 'model.name': name, phase: 'ended' }, limit: 10 })
  for (const { id, ratePerSecond } of items) {
    const run = ratePerSecond === null ? await newestRun(documents, id) : undefined
    if (run && run.counts.predicted >= 100) return (run.counts.predicted / run.activeMs) * 1_000
  }
  return null
}

async function workerRate(documents: Ports['documents'], name: string): Promise<number | null> {
  const newest = await documents.find('predictions', { where: { 'model.name': name }, limit: 200 })
  const busy = newest.items.map(busyMs).sort((a, b) => a - b)
  const median = busy[Math.floor(busy.length / 2)]
  return median === undefined || median <= 0 ? null : 1_000 / median
}

/** Time of a worker for one image, ms: of one worker, since it is not known how many there will be. */
const busyMs = ({ timings: { fetchMs, decodeMs, prepareMs, inferMs, batch } }: Prediction): number =>
  fetchMs + decodeMs + prepareMs + inferMs / Math.max(1, batch)

async function versionsOf({ documents }: PlanPorts, request: ReplayRequest): Promise<Record<string, number>> {
  const [name = ''] = request.model.split('@')
  const { items } = await documents.find('predictions', {
    where: { 'model.name': name, role: 'production', predictedAt: { gte: request.from } },
    limit: 1000,
  })
  const versions: Record<string, number> = {}
  for (const { model } of items) versions[model.version] = (versions[model.version] ?? 0) + 1
  return versions
}
