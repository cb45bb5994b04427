/** A replay as people see it: what was asked for, and what its newest term says. */
import { z } from 'zod'
import { isEnded, type ReplayDoc, type ReplayRunDoc } from '../../schemas/replay.ts'
import type { DocumentStore } from '../../storage/documents.ts'

const at = z.int().describe('ms since the epoch')

export const countsShape = z.object({
  read: z.int().describe('events so far: the sum of those below'),
  outside: z.int().describe('outside of the time or the filters'),
  unreadable: z.int().describe('records that do not decode'),
  refused: z.int().describe('the model does not take them'),
  predicted: z.int(),
  gone: z.int().describe('the object was erased since'),
  failed: z.int(),
})

export const replayShape = z.object({
  id: z.string(),
  model: z.object({ name: z.string(), version: z.string() }),
  from: at,
  to: at,
  sites: z.array(z.string()),
  studies: z.array(z.string()),
  modalities: z.array(z.string()),
  ratePerSecond: z.number().nullable(),
  createdAt: at,
  state: z
    .enum(['waiting', 'running', 'pausing', 'paused', 'cancelling', 'cancelled', 'done', 'failed'])
    .describe('waiting: no process with this model runs replays at the moment'),
  events: z.int().describe('in the range, before the filters'),
  counts: countsShape,
  codes: z.record(z.string(), z.int()).describe('errors by their code'),
  perSecond: z.number().nullable().describe('images, while it ran'),
  remainingMs: z.number().nullable(),
  activeMs: z.number(),
  givesWayTo: z.string().nullable().describe('the stage of live work that it waits for now'),
  term: z.int().describe('how often it was taken up'),
  startedAt: at.nullable(),
  updatedAt: at.nullable(),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
})
export type ReplayView = z.infer<typeof replayShape>

const nothing = { read: 0, outside: 0, unreadable: 0, refused: 0, predicted: 0, gone: 0, failed: 0 }

export async function newestRun(documents: DocumentStore, replay: string): Promise<ReplayRunDoc | undefined> {
  const { items } = await documents.find('replayRuns', { where: { replay }, limit: 1 })
  return items[0]
}

export function viewOf(doc: ReplayDoc, run: ReplayRunDoc | undefined): ReplayView {
  const { id, model, from, to, sites, studies, modalities, ratePerSecond, createdAt } = doc
  const events = doc.ranges.reduce((sum, range) => sum + range.to - range.from, 0)
  const counts = run?.counts ?? nothing
  const activeMs = run?.activeMs ?? 0
  const state = stateOf(doc, run)
  return {
    ...{ id, model, from, to, sites, studies, modalities, ratePerSecond, createdAt },
    ...{ state, events, counts, activeMs },
    codes: run?.codes ?? {},
    perSecond: activeMs > 0 ? (counts.predicted / activeMs) * 1000 : null,
    remainingMs: isEnded(run?.state ?? 'running') ? 0 : remaining(events, counts.read, activeMs),
    givesWayTo: state === 'running' ? (run?.givesWayTo ?? null) : null,
    term: run?.epoch ?? 0,
    startedAt: run?.startedAt ?? null,
    updatedAt: run?.updatedAt ?? null,
    error: run?.error ?? null,
  }
}

const remaining = (events: number, read: number, activeMs: number): number | null =>
  read > 0 ? (activeMs / read) * Math.max(0, events - read) : null

function stateOf({ wanted }: ReplayDoc, run: ReplayRunDoc | undefined): ReplayView['state'] {
  if (run && isEnded(run.state)) return run.state
  if (wanted === 'cancel') return 'cancelling'
  const isRun = run !== undefined && run.owner !== null
  if (wanted === 'pause') return isRun ? 'pausing' : 'paused'
  return isRun ? 'running' : 'waiting'
}
