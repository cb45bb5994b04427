/**
 * Queries of the document store as SQL. Names come from the declarations in schemas/documents.ts alone; values are bound,
 * never spliced.
 */
import { type Collection, collections } from '../../schemas/documents.ts'
import { RaylogError } from '../../schemas/errors.ts'
import type { Filter, FilterValue, Query } from '../documents.ts'

export type Bound = string | number | null

export interface Sql {
  text: string
  values: Bound[]
}

/** Columns are named by their path in the document: `source.kind`. */
export const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** What a collection says of itself. */
export interface Declared {
  readonly time: string
  readonly filters: readonly string[]
}

/** The fields that a collection may be filtered by. */
export const fieldsOf = ({ time, filters }: Declared): readonly string[] => [...new Set(['id', time, ...filters])]

function column(collection: Collection, field: string): string {
  if (!fieldsOf(collections[collection]).includes(field))
    throw new RaylogError('bad-request', `${collection} cannot be filtered by ${field.slice(0, 64)}`)
  return quote(field)
}

type Condition = Filter[string]
type OneOf = { readonly in: readonly FilterValue[] }

const isOneOf = (condition: Condition): condition is OneOf =>
  typeof condition === 'object' && condition !== null && 'in' in condition

/** A filter that lists more values than this is tested row by row instead of being looked up value by value. */
const mostBranches = 32

/**
 * The filter as alternatives that have only `=` and ranges: `in` becomes one alternative a value, since an index that ends
 * in (time, id) gives each of them in order, but not their union. Only the first `in` is taken apart.
 */
function alternatives(where: Filter): Filter[] {
  for (const [field, condition] of Object.entries(where)) {
    if (!isOneOf(condition) || condition.in.length > mostBranches) continue
    return [...new Set(condition.in)].map(value => ({ ...where, [field]: value }))
  }
  return [where]
}

/**
 * A process has one site, so an index by site leads to everything: SQLite is kept from it (a unary plus does that) where
 * there is a better one. The other indexes carry the site, so that it is tested without going to the table.
 *
 * @param grouped the field that is counted by, if any
 */
function conditions(collection: Collection, where: Filter, grouped?: string): Sql {
  const texts: string[] = []
  const values: Bound[] = []
  const { time } = collections[collection]
  const leads = [...Object.keys(where), grouped].some(field => field && !['site', 'id', time].includes(field))
  for (const [field, condition] of Object.entries(where)) {
    const name = (leads && field === 'site' ? '+' : '') + column(collection, field)
    if (typeof condition !== 'object' || condition === null) {
      texts.push(`${name} IS ?`)
      values.push(bindable(condition))
    } else if (isOneOf(condition)) {
      const some = [...new Set(condition.in)].map(bindable)
      const rest = some.filter(value => value !== null)
      const orNull = rest.length < some.length ? ` OR ${name} IS NULL` : ''
      texts.push(`(${name} IN (SELECT value FROM json_each(?))${orNull})`)
      values.push(JSON.stringify(rest))
    } else {
      for (const [key, bound] of Object.entries(condition)) {
        if (key !== 'gte' && key !== 'lt') throw new RaylogError('bad-request', `${field}: no such comparison`)
        if (bound === undefined) continue
        texts.push(`${name} ${key === 'gte' ? '>=' : '<'} ?`)
        values.push(bindable(bound))
      }
    }
  }
  return { text: texts.length > 0 ? texts.join(' AND ') : 'TRUE', values }
}

function bindable(value: unknown): Bound {
  if (value === null || typeof value === 'string' || (typeof value === 'number' && Number.isFinite(value))) return value
  throw new RaylogError('bad-request', 'a filter compares with texts, finite numbers or null')
}

interface Cursor {
  time: string | number
  id: string
}

/** What a row of `find` gives: the JSON, and where it stands. */
export interface Found extends Cursor {
  json: string
}

/** @returns SQL whose rows are `Found`, one more than the page holds where there is a next page */
export function findSql(collection: Collection, query: Query): Sql & { limit: number } {
  const { where = {}, order = 'newest', limit = 50 } = query
  if (!Number.isInteger(limit) || limit < 1 || limit > 1000)
    throw new RaylogError('bad-request', 'limit is a whole number from 1 to 1000')
  if (order !== 'newest' && order !== 'oldest') throw new RaylogError('bad-request', 'order is newest or oldest')
  const time = quote(collections[collection].time)
  const [direction, follows] = order === 'newest' ? ['DESC', '<'] : ['ASC', '>']
  const after = query.cursor === undefined ? undefined : parseCursor(collection, order, query.cursor)
  const values: Bound[] = []
  const branches = alternatives(where).map(alternative => {
    const condition = conditions(collection, alternative)
    values.push(...condition.values)
    if (after) values.push(after.time, after.id)
    return `SELECT * FROM (SELECT json, ${time} AS time, id FROM ${quote(collection)}
      WHERE ${condition.text}${after ? ` AND (${time}, id) ${follows} (?, ?)` : ''}
      ORDER BY ${time} ${direction}, id ${direction} LIMIT ${limit + 1})`
  })
  if (branches.length === 0)
    return { text: `SELECT json, 0 AS time, id FROM ${quote(collection)} LIMIT 0`, values, limit }
  const merge = branches.length > 1 ? ` ORDER BY time ${direction}, id ${direction} LIMIT ${limit + 1}` : ''
  return { text: branches.join(' UNION ALL ') + merge, values, limit }
}

export function countSql(collection: Collection, where: Filter): Sql {
  const { text, values } = conditions(collection, where)
  return { text: `SELECT count(*) AS n FROM ${quote(collection)} WHERE ${text}`, values }
}

export function countBySql(collection: Collection, field: string, where: Filter): Sql {
  const name = column(collection, field)
  const { text, values } = conditions(collection, where, field)
  return {
    text: `SELECT ${name} AS value, count(*) AS n FROM ${quote(collection)} WHERE ${text} GROUP BY ${name}`,
    values,
  }
}

/** A cursor belongs to the collection and the order that it came from. */
export function cursorOf(collection: Collection, order: Query['order'], { time, id }: Cursor): string {
  return Buffer.from(JSON.stringify([collection, order ?? 'newest', time, id])).toString('base64url')
}

function parseCursor(collection: Collection, order: string, text: string): Cursor {
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
