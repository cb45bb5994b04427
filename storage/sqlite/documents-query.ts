/**
 * Queries of the document store as SQL. Names come from the declarations in schemas/documents.ts alone; values are bound,
 * never spliced.
 */
import { type Collection, collections } from '../../schemas/documents.ts'
import { conditionsOf, declaredField, isOneOf, listingOf, type Place } from '../document-query.ts'
import type { Filter, Query } from '../documents.ts'

export { cursorOf } from '../document-query.ts'

export type Bound = string | number | null

export interface Sql {
  text: string
  values: Bound[]
}

/** Columns are named by their path in the document: `source.kind`. */
export const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`

const column = (collection: Collection, field: string): string => quote(declaredField(collection, field))

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
  for (const condition of conditionsOf(collection, where)) {
    const name = (leads && condition.field === 'site' ? '+' : '') + quote(condition.field)
    if (condition.kind === 'is') {
      texts.push(`${name} IS ?`)
      values.push(condition.value)
    } else if (condition.kind === 'one-of') {
      const rest = condition.values.filter(value => value !== null)
      const orNull = rest.length < condition.values.length ? ` OR ${name} IS NULL` : ''
      texts.push(`(${name} IN (SELECT value FROM json_each(?))${orNull})`)
      values.push(JSON.stringify(rest))
    } else {
      for (const { by, value } of condition.bounds) {
        texts.push(`${name} ${by === 'gte' ? '>=' : '<'} ?`)
        values.push(value)
      }
    }
  }
  return { text: texts.length > 0 ? texts.join(' AND ') : 'TRUE', values }
}

/** What a row of `find` gives: the JSON, and where it stands. Of `list`: the fields instead of the JSON. */
export interface Found extends Place {
  json: string
}

export interface PageSql extends Sql {
  limit: number
  /** Whether the rows come last first. */
  reversed: boolean
}

/** From so many on it is worth knowing whether the end is nearer: counting all costs as much as passing over a few thousand. */
const farOff = 20_000

/** Whether `findSql` is quicker with the number of all documents. */
export function isFarOff(collection: Collection, query: Query): boolean {
  const { where, offset, after } = listingOf(collection, query)
  return offset >= farOff && after === undefined && conditionsOf(collection, where).length === 0
}

/**
 * @param options.fields instead of the JSON
 * @param options.total number of all documents: what is past the middle is then reached from the end
 * @returns SQL whose rows are `Found`, one more than the page holds where there is a next page
 */
export function findSql(
  collection: Collection,
  query: Query,
  options: { fields?: readonly string[]; total?: number } = {},
): PageSql {
  const { where, order, limit, after, ...listing } = listingOf(collection, query)
  const time = quote(collections[collection].time)
  const selected = options.fields?.map((field, at) => `${column(collection, field)} AS f${at}`).join(', ') ?? 'json'
  const { offset, rows, reversed } = fromNearerEnd(listing.offset, limit + 1, options.total)
  const [direction, follows] = (order === 'newest') !== reversed ? ['DESC', '<'] : ['ASC', '>']
  const values: Bound[] = []
  const all = alternatives(where)
  const several = all.length > 1
  const paged = `LIMIT ${rows} OFFSET ${offset}`
  const branches = all.map(alternative => {
    const condition = conditions(collection, alternative)
    values.push(...condition.values)
    if (after) values.push(after.time, after.id)
    return `SELECT * FROM (SELECT ${selected}, ${time} AS time, id FROM ${quote(collection)}
      WHERE ${condition.text}${after ? ` AND (${time}, id) ${follows} (?, ?)` : ''}
      ORDER BY ${time} ${direction}, id ${direction} ${several ? `LIMIT ${offset + rows}` : paged})`
  })
  if (branches.length === 0)
    return { text: `SELECT ${selected}, 0 AS time, id FROM ${quote(collection)} LIMIT 0`, values, limit, reversed }
  const merge = several ? ` ORDER BY time ${direction}, id ${direction} ${paged}` : ''
  return { text: branches.join(' UNION ALL ') + merge, values, limit, reversed }
}

function fromNearerEnd(offset: number, rows: number, total: number | undefined) {
  if (total === undefined || offset <= total / 2) return { offset, rows, reversed: false }
  const there = Math.max(0, Math.min(rows, total - offset))
  return { offset: Math.max(0, total - offset - there), rows: there, reversed: true }
}

export function countSql(collection: Collection, where: Filter): Sql {
  const { text, values } = conditions(collection, where)
  // Without a condition, not even a true one, SQLite adds up what its pages hold instead of going through them.
  const all = text === 'TRUE'
  return { text: `SELECT count(*) AS n FROM ${quote(collection)}${all ? '' : ` WHERE ${text}`}`, values }
}

export function countBySql(collection: Collection, field: string, where: Filter): Sql {
  const name = column(collection, field)
  const { text, values } = conditions(collection, where, field)
  return {
    text: `SELECT ${name} AS value, count(*) AS n FROM ${quote(collection)} WHERE ${text} GROUP BY ${name}`,
    values,
  }
}
