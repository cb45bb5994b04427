/** What a query, a cursor and a document mean to every document store; each store only says it in its own language. */
import { type Collection, collections, type Documents } from '../schemas/documents.ts'
import { RaylogError } from '../schemas/errors.ts'
import type { Filter, FilterValue, Query } from './documents.ts'

/** What a collection says of itself. */
export interface Declared {
  readonly time: string
  readonly filters: readonly string[]
  readonly carries?: readonly string[]
}

/** The fields that a collection may be filtered by. */
export const fieldsOf = ({ time, filters, carries = [] }: Declared): readonly string[] => [
  ...new Set(['id', time, ...filters, ...carries]),
]

/** @throws RaylogError bad-request for a field that is not declared: nothing else reaches a query by its name */
export function declaredField(collection: Collection, field: string): string {
  if (fieldsOf(collections[collection]).includes(field)) return field
  throw new RaylogError('bad-request', `${collection} cannot be filtered by ${field.slice(0, 64)}`)
}

/** One field of a filter, checked. All of a filter's conditions must hold. */
export type Condition =
  | { readonly field: string; readonly kind: 'is'; readonly value: FilterValue }
  /** Each value once. */
  | { readonly field: string; readonly kind: 'one-of'; readonly values: readonly FilterValue[] }
  /** At least one of the bounds. */
  | { readonly field: string; readonly kind: 'between'; readonly bounds: readonly Bound[] }

export interface Bound {
  readonly by: 'gte' | 'lt'
  readonly value: FilterValue
}

type OneOf = { readonly in: readonly FilterValue[] }

export const isOneOf = (condition: Filter[string]): condition is OneOf =>
  typeof condition === 'object' && condition !== null && 'in' in condition

/** @throws RaylogError bad-request for a field that is not declared, or a value that is not one to compare with */
export function conditionsOf(collection: Collection, where: Filter): Condition[] {
  return Object.entries(where).flatMap(([name, condition]): Condition[] => {
    const field = declaredField(collection, name)
    if (typeof condition !== 'object' || condition === null)
      return [{ field, kind: 'is', value: comparable(condition) }]
    if (isOneOf(condition)) return [{ field, kind: 'one-of', values: [...new Set(condition.in)].map(comparable) }]
    const bounds = Object.entries(condition).flatMap(([by, bound]): Bound[] => {
      if (by !== 'gte' && by !== 'lt') throw new RaylogError('bad-request', `${field}: no such comparison`)
      return bound === undefined ? [] : [{ by, value: comparable(bound) }]
    })
    return bounds.length > 0 ? [{ field, kind: 'between', bounds }] : []
  })
}

function comparable(value: unknown): FilterValue {
  if (value === null || typeof value === 'string' || (typeof value === 'number' && Number.isFinite(value))) return value
  throw new RaylogError('bad-request', 'a filter compares with texts, finite numbers or null')
}

/** Where a document stands in a listing. */
export interface Place {
  time: string | number
  id: string
}

export interface Listing {
  where: Filter
  order: 'newest' | 'oldest'
  /** 1..1000 */
  limit: number
  /** 0..10,000,000 */
  offset: number
  /** The listing goes on after this one. */
  after: Place | undefined
}

/** A query with its defaults. @throws RaylogError bad-request */
export function listingOf(collection: Collection, query: Query): Listing {
  const { where = {}, order = 'newest', limit = 50, offset = 0, cursor } = query
  if (!Number.isInteger(limit) || limit < 1 || limit > 1000)
    throw new RaylogError('bad-request', 'limit is a whole number from 1 to 1000')
  if (!Number.isInteger(offset) || offset < 0 || offset > 10_000_000)
    throw new RaylogError('bad-request', 'offset is a whole number from 0 to 10,000,000')
  if (order !== 'newest' && order !== 'oldest') throw new RaylogError('bad-request', 'order is newest or oldest')
  return {
    where,
    order,
    limit,
    offset,
    after: cursor === undefined ? undefined : parseCursor(collection, order, cursor),
  }
}

/** A cursor belongs to the collection and the order that it came from. */
export function cursorOf(collection: Collection, order: Query['order'], { time, id }: Place): string {
  return Buffer.from(JSON.stringify([collection, order ?? 'newest', time, id])).toString('base64url')
}

function parseCursor(collection: Collection, order: string, text: string): Place {
  const refused = new RaylogError('bad-request', 'the cursor is not one of this query')
  let parts: unknown
  try {
    parts = JSON.parse(Buffer.from(text, 'base64url').toString())
  } catch {
    throw refused
  }
  if (!Array.isArray(parts) || parts.length !== 4) throw refused
  const [of, by, time, id]: unknown[] = parts
  if (of !== collection || by !== order || typeof id !== 'string') throw refused
  if (typeof time !== 'string' && typeof time !== 'number') throw refused
  return { time, id }
}

/** The document's id. @throws RaylogError bad-request for what could not be found or listed again */
export function checkedId<C extends Collection>(collection: C, doc: Documents[C]): string {
  const time = collections[collection].time
  const { id, [time]: at }: Record<string, unknown> = { ...doc }
  if (typeof id !== 'string' || id === '') throw new RaylogError('bad-request', `a document of ${collection} has no id`)
  if (time !== 'id' && !(typeof at === 'number' && Number.isFinite(at)))
    throw new RaylogError('bad-request', `${collection} ${id}: ${time} is not a time`)
  return id
}
