/**
 * Documents as MongoDB keeps them: as they are, so that its own tools read them, but `id` is `_id`, and names of fields
 * that come from outside (labels, headers) are escaped where MongoDB or its driver would take them for something else.
 */
import { BSON } from 'mongodb'
import type { Collection, Documents } from '../../schemas/documents.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { checkedId } from '../document-query.ts'

export interface Stored {
  _id: string
  [field: string]: unknown
}

/** The server refuses documents above 16 MiB (maxBsonObjectSize); some room is left for the command around it. */
const maxBytes = 16 * 1024 * 1024 - 16 * 1024

/**
 * A dot is a path, a leading dollar an operator or a reference, `_bsontype` a type of the driver, NUL ends a name; per cent
 * is the escape itself.
 */
const escapeName = (name: string): string => {
  if (name === '_bsontype' || name === '_id') return `%${name}`
  // Looked for first: nearly no name has one, and a dozen names are looked at for each image.
  return special.test(name) ? name.replaceAll(/^\$|[%.\0]/g, percent) : name
}
const special = /[$%.\0]/
const percent = (character: string): string => `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`

const unescapeName = (name: string): string => {
  if (!name.includes('%')) return name
  if (name.startsWith('%_')) return name.slice(1)
  return name.replaceAll(/%([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}

function mapNames(value: unknown, rename: (name: string) => string): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(item => mapNames(item, rename))
  const mapped: Record<string, unknown> = {}
  for (const [name, field] of Object.entries(value)) {
    if (field === undefined) continue
    const key = rename(name)
    // Assigned, this one would become the prototype.
    if (key === '__proto__') Object.defineProperty(mapped, key, { ...plain, value: mapNames(field, rename) })
    else mapped[key] = mapNames(field, rename)
  }
  return mapped
}
const plain = { configurable: true, enumerable: true, writable: true }

/**
 * A copy: the caller may change the document while it waits to be written.
 *
 * @throws RaylogError bad-request, or too-large, so that it fails alone and not with what is written beside it
 */
export function encode<C extends Collection>(collection: C, doc: Documents[C]): Stored {
  const _id = checkedId(collection, doc)
  const { id: _, ...fields }: Record<string, unknown> = { ...doc }
  const stored: Stored = { _id, ...Object(mapNames(fields, escapeName)) }
  if (BSON.calculateObjectSize(stored) > maxBytes)
    throw new RaylogError('too-large', `a document of ${collection} is larger than ${maxBytes} bytes: ${_id}`)
  return stored
}

export function decode<C extends Collection>({ _id, ...fields }: Stored): Documents[C] {
  // What `encode` wrote: the collection's name says which kind it is.
  return { id: _id, ...Object(mapNames(fields, unescapeName)) } as Documents[C]
}
