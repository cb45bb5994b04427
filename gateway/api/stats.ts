/** Totals and rates from the document store, asked at most once a second however many pages are open. */
import { z } from 'zod'
import type { Clock } from '../../monitoring/clock.ts'
import { collections } from '../../schemas/documents.ts'
import type { DocumentStore } from '../../storage/documents.ts'

const counts = z.record(z.string(), z.int())
const rate = z.object({ received: z.int(), predictions: z.int() })

export const statsShape = z.object({
  at: z.int().describe('ms since the epoch'),
  totals: z.object({
    instances: z.int(),
    predictions: z.int(),
    studies: z.int(),
    patients: z.int(),
    reports: z.int(),
    deliveries: z.int(),
    parked: z.int(),
  }),
  parked: z.int().describe('still parked'),
  byModel: z.array(z.object({ model: z.string(), total: z.int(), labels: counts })),
  byModality: counts.describe('instances; "" where there is no modality'),
  rates: z.object({ minute: rate, hour: rate }).describe('counts over the last minute and hour'),
})
export type Stats = z.infer<typeof statsShape>

const keepMs = 1_000
const minute = 60_000
const hour = 3_600_000

export function createStats(documents: DocumentStore, clock: Clock): () => Promise<Stats> {
  let kept: { at: number; stats: Promise<Stats> } | undefined
  return () => {
    const now = clock.now()
    if (kept !== undefined && now >= kept.at && now - kept.at < keepMs) return kept.stats
    const stats = count(documents, now)
    const mine = { at: now, stats }
    kept = mine
    // A failure is not kept: the next one asks again.
    stats.catch(() => {
      if (kept === mine) kept = undefined
    })
    return stats
  }
}

async function count(documents: DocumentStore, now: number): Promise<Stats> {
  const since = async (ms: number) => {
    const [received, predictions] = await Promise.all([
      documents.count('instances', { [collections.instances.time]: { gte: now - ms } }),
      documents.count('predictions', { [collections.predictions.time]: { gte: now - ms } }),
    ])
    return { received, predictions }
  }
  const [totals, parked, byModel, byModality, lastMinute, lastHour] = await Promise.all([
    totalsOf(documents),
    documents.count('parked', { state: 'parked' }),
    labelsByModel(documents),
    documents.countBy('instances', 'modality'),
    since(minute),
    since(hour),
  ])
  return { at: now, totals, parked, byModel, byModality, rates: { minute: lastMinute, hour: lastHour } }
}

async function totalsOf(documents: DocumentStore): Promise<Stats['totals']> {
  const [instances, predictions, studies, patients, reports, deliveries, parked] = await Promise.all([
    documents.count('instances'),
    documents.count('predictions'),
    documents.count('studies'),
    documents.count('patients'),
    documents.count('reports'),
    documents.count('deliveries'),
    documents.count('parked'),
  ])
  return { instances, predictions, studies, patients, reports, deliveries, parked }
}

async function labelsByModel(documents: DocumentStore): Promise<Stats['byModel']> {
  const models = await documents.countBy('predictions', 'model.name')
  return Promise.all(
    Object.entries(models).map(async ([model, total]) => ({
      model,
      total,
      labels: await documents.countBy('predictions', 'label', { 'model.name': model }),
    })),
  )
}
