/** Identifiers of queries and retrievals (PS3.4 C.4): what is asked for, at which level of the information model. */

import { type Elements, readElements } from '../../dicom/data-set.ts'
import { indexedAttribute, type QueryLevel, queryLevels } from '../../schemas/dicom-index.ts'
import { RaylogError } from '../../schemas/errors.ts'
import type { DataSet } from './data-set.ts'
import type { Message } from './services/service.ts'
import { serviceClass } from './sop-classes.ts'

/** Identifier does not match SOP class (PS3.4 C.4.1.1.4, C.4.2.1.5). */
export const identifierMismatch = 0xa900

export interface Identifier {
  level: QueryLevel
  /** As they were asked for, by tag; empty: to be returned, whatever they are. */
  keys: ReadonlyMap<string, string>
}

/** Elements that say how to read the others, or how to answer; no keys. */
const notKeys = new Set(['00080005', '00080052', '00080053', '00080201'])

/** Unique keys (PS3.4 C.6.1.1, C.6.2.1). */
export const uniqueKeys: Readonly<Record<QueryLevel, string>> = {
  PATIENT: '00100020',
  STUDY: '0020000D',
  SERIES: '0020000E',
  IMAGE: '00080018',
}

/** Levels of the model, from its root to `level`. */
export function levelsTo(level: QueryLevel, root: QueryLevel): QueryLevel[] {
  return queryLevels.slice(queryLevels.indexOf(root), queryLevels.indexOf(level) + 1)
}

/** @throws RaylogError too-large, truncated */
export async function readAll(data: DataSet | undefined, maxBytes: number): Promise<Buffer> {
  const parts: Buffer[] = []
  let size = 0
  for await (const bytes of data?.bytes() ?? []) {
    size += bytes.length
    if (size > maxBytes) throw new RaylogError('too-large', `a data set of more than ${maxBytes} bytes with a request`)
    parts.push(bytes)
  }
  return Buffer.concat(parts)
}

/** @throws RaylogError malformed-dicom, too-large, truncated; identity-mismatch where it does not fit the information model */
export async function readIdentifier({ context, data }: Message, maxBytes: number): Promise<Identifier> {
  const elements = readElements(await readAll(data, maxBytes), context.transferSyntax)
  const root = serviceClass(context.abstractSyntax)?.root ?? 'STUDY'
  const said = elements.text('00080052', 'CS')?.trim()
  const level = queryLevels.find(each => each === said)
  if (level === undefined || !levelsTo('IMAGE', root).includes(level))
    throw new RaylogError('identity-mismatch', 'the query/retrieve level is not one of the information model')
  return { level, keys: keysOf(elements) }
}

function keysOf(elements: Elements): Map<string, string> {
  const keys = new Map<string, string>()
  for (const tag of elements.tags) {
    if (notKeys.has(tag)) continue
    keys.set(tag, elements.text(tag, indexedAttribute(tag)?.vr ?? 'UN') ?? '')
  }
  return keys
}
