/** Queries of the document store as MongoDB's. Names come from the declarations, values are compared, never interpreted. */
import type { Document, IndexDescription } from 'mongodb'
import { type Collection, collections } from '../../schemas/documents.ts'
import { type Condition, conditionsOf, type Listing } from '../document-query.ts'
import type { Filter, FilterValue } from '../documents.ts'

/** `id` is kept as `_id`. */
export const pathOf = (field: string): string => (field === 'id' ? '_id' : field)

/** null is a field that is null or not there, as in SQLite. */
function clause(condition: Condition): Document {
  const path = pathOf(condition.field)
  if (condition.kind === 'is') return { [path]: condition.value }
  if (condition.kind === 'one-of') return { [path]: { $in: condition.values } }
  return { [path]: Object.fromEntries(condition.bounds.map(({ by, value }) => [`$${by}`, value])) }
}

const all = (clauses: readonly Document[]): Document => (clauses.length > 0 ? { $and: clauses } : {})

/** @throws RaylogError bad-request */
export const matchOf = (collection: Collection, where: Filter): Document =>
  all(conditionsOf(collection, where).map(clause))

/**
 * A page by its place, not by how many come before it. The bound on the time stands outside of `$or`, so that it limits
 * the range of the index that is read.
 *
 * @throws RaylogError bad-request
 */
export function pageOf(collection: Collection, { where, order, after }: Listing) {
  const time = pathOf(collections[collection].time)
  const clauses = conditionsOf(collection, where).map(clause)
  const [direction, follows] = order === 'newest' ? ([-1, '$lt'] as const) : ([1, '$gt'] as const)
  if (after && time === '_id') clauses.push({ _id: { [follows]: after.id } })
  else if (after) {
    clauses.push({ [time]: { [`${follows}e`]: after.time } })
    clauses.push({ $or: [{ [time]: { [follows]: after.time } }, { _id: { [follows]: after.id } }] })
  }
  const sort: Record<string, 1 | -1> = time === '_id' ? { _id: direction } : { [time]: direction, _id: direction }
  return { filter: all(clauses), sort }
}

/** (field, time, id) for each filter, and (time, id): the order of the pages, whatever the filter. Read either way. */
export function indexesOf(collection: Collection): IndexDescription[] {
  const { time, filters, carries = [] } = collections[collection]
  const order = orderOf(collection)
  const keys = filters.map(field => [...new Set([pathOf(field), ...order])])
  if (time !== 'id') keys.push([...order, ...carries.map(pathOf)])
  return keys.map(names => ({ key: keyOf(names) }))
}

/** What an older version made, and one of `indexesOf` does too: (time, id) where that carries more now. By its key. */
export function outdatedIndexOf(collection: Collection): Document | undefined {
  const { time, carries = [] } = collections[collection]
  return time !== 'id' && carries.length > 0 ? keyOf(orderOf(collection)) : undefined
}

const orderOf = (collection: Collection): string[] => {
  const { time } = collections[collection]
  return time === 'id' ? ['_id'] : [pathOf(time), '_id']
}
const keyOf = (names: readonly string[]): Record<string, 1> => Object.fromEntries(names.map(name => [name, 1]))

export const projectionOf = (paths: readonly string[]): Document => ({
  _id: 1,
  ...Object.fromEntries(paths.map(path => [path, 1])),
})

/** What stands at a path; null where nothing does, or what no filter compares with. */
export function valueAt(stored: Document, path: string): FilterValue {
  let value: unknown = stored
  for (const part of path.split('.')) value = Object(value)[part]
  return typeof value === 'string' || typeof value === 'number' ? value : null
}
