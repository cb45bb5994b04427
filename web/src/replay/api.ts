/** Replays over HTTP. The shapes are the gateway's own; what is checked here is that the answer is one. */
import type { Comparison, Flip } from '../../../gateway/api/replays-comparison.ts'
import type { ReplayView as Replay } from '../../../gateway/api/replays-view.ts'
import type { Gone } from '../../../schemas/replay.ts'
import { base, get, post, postJson } from '../api/client.ts'
import { isObject, pageOf, ShapeError } from '../api/shape.ts'
import type { Page } from '../api/types.ts'

export type { Flip, Gone, Replay }
export type Compared = Comparison & { replay: string; model: Replay['model']; complete: boolean }

/** gateway/api/replays-plan.ts */
export interface Plan {
  events: number
  looked: number
  complete: boolean
  matched: number
  accepted: number
  unreadable: number
  refused: Record<string, number>
  objects: { checked: number; gone: number; first: Gone[] }
  perSecond: number | null
  durationMs: number | null
  productionVersions: Record<string, number>
}

export interface Arrivals {
  from: number
  to: number
  bucketMs: number
  counts: number[]
  total: number
}

export interface Asked {
  model: string
  /** ms since the epoch; `to` is not included. */
  from: number
  to: number
  sites: string[]
  studies: string[]
  modalities: string[]
  ratePerSecond: number | null
}

function has<T>(...fields: (keyof T & string)[]) {
  return (value: unknown): T => {
    if (!isObject(value)) throw new ShapeError('expected an object')
    for (const field of fields) if (!(field in value)) throw new ShapeError(`${field} is missing`)
    return value as T
  }
}

const toReplay = has<Replay>('id', 'model', 'state', 'events', 'counts')
const toPlan = has<Plan>('events', 'matched', 'accepted', 'refused', 'objects', 'productionVersions')
const toArrivals = has<Arrivals>('from', 'to', 'counts')
const toComparison = has<Compared>('pairs', 'labels', 'matrix', 'flips', 'shifts', 'scores', 'byClass')
const toFlip = has<Flip>('instance', 'direction', 'production', 'candidate')

const toGone = has<Gone>('instance', 'study')

const path = (id: string, action = '') => `/replays/${encodeURIComponent(id)}${action && `/${action}`}`

export const planOf = (asked: Asked): Promise<Plan> => postJson('/replays/plan', asked, toPlan)
export const start = (asked: Asked): Promise<Replay> => postJson('/replays', asked, toReplay)
export const change = (id: string, action: 'pause' | 'resume' | 'cancel'): Promise<Replay> =>
  post(path(id, action), null, toReplay)

export const listReplays = (signal: AbortSignal): Promise<Page<Replay>> =>
  get('/replays?limit=100', pageOf(toReplay), signal)
export const getReplay = (id: string, signal: AbortSignal): Promise<Replay> => get(path(id), toReplay, signal)
export const getComparison = (id: string, signal: AbortSignal): Promise<Compared> =>
  get(path(id, 'comparison'), toComparison, signal)
export const csvUrl = (id: string): string => `${base}${path(id, 'comparison.csv')}`
export const jsonUrl = (id: string): string => `${base}${path(id, 'comparison')}`

export function getFlips(id: string, direction: string, cursor: string | null, limit: number): Promise<Page<Flip>> {
  const query = new URLSearchParams({ limit: String(limit) })
  if (direction !== '') query.set('direction', direction)
  if (cursor !== null) query.set('cursor', cursor)
  return get(`${path(id, 'flips')}?${query}`, pageOf(toFlip))
}

export function getGone(id: string, cursor: string | null, limit: number): Promise<Page<Gone>> {
  const query = new URLSearchParams({ limit: String(limit) })
  if (cursor !== null) query.set('cursor', cursor)
  return get(`${path(id, 'gone')}?${query}`, pageOf(toGone))
}

export type Narrowed = Pick<Asked, 'sites' | 'studies' | 'modalities'>

export function getArrivals({ sites, studies, modalities }: Narrowed, buckets: number, signal: AbortSignal) {
  const query = new URLSearchParams({ buckets: String(buckets) })
  for (const site of sites) query.append('site', site)
  for (const study of studies) query.append('study', study)
  for (const modality of modalities) query.append('modality', modality)
  return get(`/replays/arrivals?${query}`, toArrivals, signal)
}
