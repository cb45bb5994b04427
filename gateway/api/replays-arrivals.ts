/** A time line of arrivals, to choose a range on. */
import { z } from 'zod'
import type { Clock } from '../../monitoring/clock.ts'
import type { DocumentStore, Filter } from '../../storage/documents.ts'

const instant = z.coerce.number().int().min(0).optional()
const one = z.string().min(1).max(256)
const some = (what: string) =>
  z
    .union([one.transform(value => [value]), z.array(one).max(100)])
    .default([])
    .describe(`${what}; may be repeated; none: any`)

export const arrivalsQuery = z.object({
  from: instant.describe('ms since the epoch; default: the first arrival'),
  to: instant.describe('not included; default: now'),
  buckets: z.coerce.number().int().min(1).max(200).default(60),
  site: some('of this site'),
  study: some('of this study, by its id'),
  modality: some('of this modality'),
})

export const arrivalsShape = z.object({
  from: z.int(),
  to: z.int(),
  bucketMs: z.number(),
  counts: z.array(z.int()).describe('one a bucket, oldest first'),
  total: z.int(),
})

export async function arrivals(
  documents: DocumentStore,
  clock: Clock,
  query: z.output<typeof arrivalsQuery>,
): Promise<z.infer<typeof arrivalsShape>> {
  const { buckets, site, study, modality } = query
  const chosen = Object.entries({ site, study, modality }).filter(([, values]) => values.length > 0)
  const fields: Filter = Object.fromEntries(chosen.map(([field, values]) => [field, { in: values }]))
  const to = query.to ?? clock.now()
  const oldest = query.from === undefined ? await documents.find('instances', { order: 'oldest', limit: 1 }) : undefined
  const from = Math.min(query.from ?? oldest?.items[0]?.receivedAt ?? to - 86_400_000, to - 1)
  const bucketMs = (to - from) / buckets
  const edge = (at: number) => Math.round(from + at * bucketMs)
  const counts = await Promise.all(
    Array.from({ length: buckets }, (_, at) =>
      documents.count('instances', { ...fields, receivedAt: { gte: edge(at), lt: edge(at + 1) } }),
    ),
  )
  return { from, to, bucketMs, counts, total: counts.reduce((sum, count) => sum + count, 0) }
}
