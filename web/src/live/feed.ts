/** The feed: images newest first, each with what was said of it. Pure, so that tests need no browser. */
import type { Instance, Parked, Prediction, Report } from '../api/types.ts'

export interface Item {
  /** Id of the instance. */
  readonly id: string
  /** When the image was received, ms since the epoch; the list's order. */
  readonly at: number
  /** Null while only a prediction of it is known. */
  readonly instance: Instance | null
  readonly predictions: readonly Prediction[]
  readonly reports: readonly Report[]
  readonly parked: readonly Parked[]
  /** Names of the models that take it; null where that was not told. */
  readonly accepted: readonly string[] | null
  /** Came while the page was open, rather than out of the past. */
  readonly fresh: boolean
}

export type Change =
  | { kind: 'instance'; event: Instance; accepted: readonly string[] | null; fresh: boolean }
  | { kind: 'prediction'; event: Prediction; fresh: boolean }
  | { kind: 'report'; event: Report }
  /** Which models take it, asked for later. */
  | { kind: 'routes'; id: string; accepted: readonly string[] }
  | { kind: 'parked'; event: Parked }
  /** All that is parked now: what is not in it was retried or dropped. */
  | { kind: 'parked-now'; events: readonly Parked[] }

/** What a row says where there is no prediction. */
export type Status = 'predicted' | 'waiting' | 'refused' | 'unknown' | 'parked'

export function statusOf(item: Item): Status {
  if (item.parked.length > 0) return 'parked'
  if (item.predictions.length > 0) return 'predicted'
  if (item.accepted === null) return 'unknown'
  return item.accepted.length === 0 ? 'refused' : 'waiting'
}

export interface Feed {
  readonly items: readonly Item[]
  readonly byId: ReadonlyMap<string, Item>
}

export const emptyFeed: Feed = { items: [], byId: new Map() }

/** Newest first; ids break ties, so that an order once shown stays. */
const newestFirst = (a: Item, b: Item) => b.at - a.at || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)

/**
 * The feed after `changes`; `feed` itself stays as it is. The same event twice changes nothing. Beyond `cap` items the
 * oldest are let go: they are still on the server.
 */
export function applyChanges(feed: Feed, changes: readonly Change[], cap = 20_000): Feed {
  if (changes.length === 0) return feed
  const byId = new Map(feed.byId)
  const added = new Set<string>()
  for (const change of changes) applyOne(byId, added, change)
  const kept = feed.items.map(item => byId.get(item.id) ?? item)
  const fresh = [...added].flatMap(id => byId.get(id) ?? []).sort(newestFirst)
  const items = merge(fresh, kept)
  for (const old of items.splice(cap)) byId.delete(old.id)
  return { items, byId }
}

function applyOne(byId: Map<string, Item>, added: Set<string>, change: Change): void {
  if (change.kind === 'parked-now') {
    setParked(byId, change.events)
    return
  }
  const id = subjectOf(byId, change)
  if (id === null) return
  const before = byId.get(id)
  const item = before ?? blank(id, change)
  if (item === null) return
  if (!before) added.add(id)
  byId.set(id, updated(item, change))
}

/** Which item a change is about; null where it is about none that is listed. */
function subjectOf(byId: ReadonlyMap<string, Item>, change: Exclude<Change, { kind: 'parked-now' }>): string | null {
  if (change.kind === 'instance') return change.event.id
  if (change.kind === 'prediction' || change.kind === 'report') return change.event.instance
  if (change.kind === 'routes') return byId.has(change.id) ? change.id : null
  const { subject } = change.event
  return subject !== null && byId.has(subject) ? subject : null
}

function blank(id: string, change: Change): Item | null {
  if (change.kind !== 'instance' && change.kind !== 'prediction') return null
  return {
    id,
    at: change.event.receivedAt,
    instance: null,
    predictions: [],
    reports: [],
    parked: [],
    accepted: null,
    fresh: change.fresh,
  }
}

function updated(item: Item, change: Exclude<Change, { kind: 'parked-now' }>): Item {
  switch (change.kind) {
    case 'instance':
      return { ...item, instance: change.event, accepted: change.accepted ?? item.accepted }
    case 'prediction':
      return { ...item, predictions: put(item.predictions, change.event) }
    case 'report':
      // What became of its delivery is shown with the study.
      if (change.event.outcome === 'sent' || change.event.outcome === 'refused') return item
      return { ...item, reports: put(item.reports, change.event) }
    case 'routes':
      return { ...item, accepted: change.accepted }
    case 'parked':
      return { ...item, parked: put(item.parked, change.event) }
  }
}

function put<T extends { id: string }>(list: readonly T[], one: T): readonly T[] {
  const at = list.findIndex(({ id }) => id === one.id)
  return at < 0 ? [...list, one] : list.with(at, one)
}

function setParked(byId: Map<string, Item>, events: readonly Parked[]): void {
  for (const [id, item] of byId) if (item.parked.length > 0) byId.set(id, { ...item, parked: [] })
  for (const event of events) {
    const item = event.subject === null ? undefined : byId.get(event.subject)
    if (item) byId.set(item.id, { ...item, parked: put(item.parked, event) })
  }
}

/** Two lists that are each newest first, as one. */
function merge(a: readonly Item[], b: readonly Item[]): Item[] {
  const out: Item[] = []
  let i = 0
  let j = 0
  while (i < a.length || j < b.length) {
    const left = a[i]
    const right = b[j]
    if (left && (!right || newestFirst(left, right) <= 0)) {
      out.push(left)
      i += 1
    } else if (right) {
      out.push(right)
      j += 1
    }
  }
  return out
}
