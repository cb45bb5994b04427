/** The comparison over HTTP: figures, the images that flipped, and everything as CSV. */
import { Readable } from 'node:stream'
import { LRUCache } from 'lru-cache'
import { z } from 'zod'
import type { Clock } from '../../monitoring/clock.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { isEnded, type ReplayDoc } from '../../schemas/replay.ts'
import type { DocumentStore } from '../../storage/documents.ts'
import { problems } from '../http/problem.ts'
import { binary } from './bytes.ts'
import { type ApiContext, type App, found } from './context.ts'
import { Comparing, type Comparison, type Flip, type Group, type Judged } from './replays-comparison.ts'
import { csvOf } from './replays-csv.ts'
import { pairsOf } from './replays-pairs.ts'
import { createSettled } from './replays-settled.ts'
import type { Histogram, Interval } from './replays-statistics.ts'
import { newestRun } from './replays-view.ts'
import { idParams, listOf } from './shapes.ts'

const interval = z
  .object({ value: z.number(), low: z.number(), high: z.number(), n: z.int() })
  .describe('with its 95 % interval') satisfies z.ZodType<Interval>
const maybe = interval.nullable()
const histogram = z.object({
  from: z.number(),
  to: z.number(),
  counts: z.array(z.int()),
}) satisfies z.ZodType<Histogram>
const group = z.object({
  ...{ name: z.string(), pairs: z.int(), agreement: maybe },
  ...{ toPositive: z.int(), toNegative: z.int(), other: z.int(), shift: maybe },
}) satisfies z.ZodType<Group>
const judged = z.object({
  ...{ auc: maybe, sensitivity: maybe, specificity: maybe, accuracy: maybe },
}) satisfies z.ZodType<Judged>

export const comparisonShape = z.object({
  replay: z.string(),
  model: z.object({ name: z.string(), version: z.string() }),
  complete: z.boolean().describe('the replay has ended and all that it said is in here'),
  pairs: z.int().describe('images of which both said something'),
  unpaired: z.int().describe('images of which production said nothing'),
  versions: z.record(z.string(), z.int()).describe('what production ran: images by version'),
  positive: z.string().nullable().describe('the positive class, where there are two'),
  labels: z.array(z.string()),
  matrix: z.array(z.array(z.int())).describe('production by row, candidate by column, in the order of labels'),
  agreement: maybe.describe('Wilson'),
  flips: z.object({ toPositive: z.int(), toNegative: z.int(), other: z.int(), kept: z.int() }),
  shift: maybe.describe("candidate's score less production's: mean, normal interval"),
  shifts: histogram,
  scores: z.object({ production: histogram, candidate: histogram }),
  byClass: z.array(group).describe('by what production said'),
  bySite: z.array(group),
  byModality: z.array(group),
  truth: z
    .object({
      labelled: z.int(),
      positives: z.int().nullable(),
      production: judged,
      candidate: judged,
      aucDifference: maybe.describe('candidate less production, DeLong, paired'),
    })
    .nullable()
    .describe('against what people said; null where nobody did'),
})

const said = z.object({ label: z.string(), score: z.number() })
const flipShape = z.object({
  ...{ instance: z.string(), study: z.string(), site: z.string(), modality: z.string().nullable() },
  direction: z.enum(['to-positive', 'to-negative', 'other']),
  ...{ production: said, candidate: said, truth: z.string().nullable() },
}) satisfies z.ZodType<Flip>

const flipQuery = z.object({
  direction: flipShape.shape.direction.optional(),
  cursor: z
    .string()
    .regex(/^\d{1,7}$/)
    .optional()
    .describe('`next` of the page before'),
  limit: z.coerce.number().int().min(1).max(500).default(50),
})

interface Compared {
  comparison: Comparison
  complete: boolean
  flips: readonly Flip[]
}

const tags = ['replays']

export function addComparisonRoutes(app: App, { deps: { documents, log }, clock }: ApiContext): void {
  const compare = createCompare(documents, createSettled(log, clock), clock)
  const get = async (id: string) => found(await documents.get('replays', id), 'replay')
  app.get(
    '/replays/:id/comparison',
    {
      schema: {
        ...{ tags, summary: 'Beside production, in figures' },
        params: idParams,
        response: { 200: comparisonShape, ...problems },
      },
    },
    async ({ params }) => {
      const replay = await get(params.id)
      const { comparison, complete } = await compare(replay)
      return { replay: replay.id, model: replay.model, complete, ...comparison }
    },
  )
  app.get(
    '/replays/:id/comparison.csv',
    {
      schema: {
        ...{ tags, summary: 'Beside production, image by image' },
        params: idParams,
        response: { 200: binary('one line an image', 'text/csv'), ...problems },
      },
    },
    async ({ params }, reply) => {
      const replay = await get(params.id)
      const disposition = `attachment; filename="${replay.id}.csv"`
      const headers = { 'content-type': 'text/csv; charset=utf-8', 'content-disposition': disposition }
      return reply.headers(headers).send(Readable.from(csvOf(pairsOf(documents, replay))))
    },
  )
  app.get(
    '/replays/:id/flips',
    {
      schema: {
        ...{ tags, summary: 'Images of which the two say different things, oldest first' },
        params: idParams,
        querystring: flipQuery,
        response: { 200: listOf(flipShape), ...problems },
      },
    },
    async ({ params, query: { direction, cursor, limit } }) => {
      const { flips } = await compare(await get(params.id))
      const wanted = direction === undefined ? flips : flips.filter(flip => flip.direction === direction)
      const from = Number(cursor ?? 0)
      if (from > wanted.length) throw new RaylogError('bad-request', 'the cursor is not one of this list')
      const to = from + limit
      return { items: wanted.slice(from, to), next: to < wanted.length ? String(to) : null }
    },
  )
}

/** While a replay runs its comparison is made again at most so often, ms, and never for more than a tenth of the time. */
const freshMs = 2_000
const kept = 8

/** Walks all pairs, so it is kept: for good once nothing can be added, for a moment before. */
function createCompare(
  documents: DocumentStore,
  settled: ReturnType<typeof createSettled>,
  clock: Clock,
): (replay: ReplayDoc) => Promise<Compared> {
  const cache = new LRUCache<string, { sign: string; until: number; compared: Promise<Compared> }>({ max: kept })

  async function signOf(replay: ReplayDoc): Promise<{ sign: string; complete: boolean }> {
    const [run, replayed, feedback, newest] = await Promise.all([
      newestRun(documents, replay.id),
      documents.count('replayed', { replay: replay.id }),
      documents.count('feedback'),
      documents.find('feedback', { limit: 1 }),
    ])
    const ended = run !== undefined && isEnded(run.state)
    const complete = ended && (replayed >= run.counts.predicted || (await settled(replay.id)))
    // Feedback changes in place too: by its newest time.
    const sign = [run?.state, replayed, complete, feedback, newest.items[0]?.at].join(' ')
    return { sign, complete }
  }

  async function make(replay: ReplayDoc, complete: boolean): Promise<Compared> {
    const comparing = new Comparing()
    for await (const { pair } of pairsOf(documents, replay)) {
      if (pair) comparing.add(pair)
      else comparing.skip()
    }
    return { comparison: comparing.result(), complete, flips: comparing.flips }
  }

  return async replay => {
    const { sign, complete } = await signOf(replay)
    const before = cache.get(replay.id)
    if (before && (before.sign === sign || clock.now() < before.until)) return await before.compared
    const begun = clock.now()
    const entry = { sign, until: Number.POSITIVE_INFINITY, compared: make(replay, complete) }
    cache.set(replay.id, entry)
    try {
      const compared = await entry.compared
      const took = clock.now() - begun
      entry.until = complete ? begun : begun + Math.max(freshMs, took * 10)
      return compared
    } catch (error) {
      cache.delete(replay.id)
      throw error
    }
  }
}
