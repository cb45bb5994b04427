/**
 * Queries over what is stored, for QIDO-RS and C-FIND alike: by level, with the matching of PS3.4 C.2.2.2. Answers carry the
 * patient's real identity: whoever may query may retrieve the object, which says the same.
 */
import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import {
  type DicomInstanceDoc,
  type DicomSeriesDoc,
  type DicomStudyDoc,
  type IndexedAttribute,
  type IndexedValues,
  indexedAttribute,
  indexedAttributes,
  type QueryLevel,
  queryLevels,
} from '../schemas/dicom-index.ts'
import type { DicomAttributes } from '../schemas/dicom-json.ts'
import { type MatchKey, matchKey } from './dicom/keys.ts'
import { createLookups } from './dicom/lookups.ts'
import { digests as studyDigests } from './dicom/narrow.ts'
import type { DocumentStore, FilterValue } from './documents.ts'
import type { Secrets } from './secrets.ts'

export { studyDigests }

/** The mark of a study: it goes with what is sealed. */
export const markOf = (sealed: string): string => createHash('sha256').update(sealed).digest('base64url').slice(0, 16)

export interface DicomQuery {
  level: QueryLevel
  /** Tag or keyword to the value asked for; several values with backslashes between, as PS3.5 has it. */
  keys?: Readonly<Record<string, string>>
  /** Only what came in at this site. */
  site?: string | undefined
  /** Matches that are passed over. */
  offset?: number
  /** No more matches than this. */
  limit?: number
  /** Whether the numbers of series and instances are counted (default), which costs two look-ups a page. */
  counts?: boolean
  signal?: AbortSignal
}

/** One study, series or instance that matches, with what is known of those above it. */
export interface DicomMatch {
  /** All that is indexed, of this level and those above. */
  values: IndexedValues
  study: DicomStudyDoc | undefined
  series: DicomSeriesDoc | undefined
  instance: DicomInstanceDoc | undefined
}

export interface DicomIndex {
  /**
   * Matches: studies from the newest, series and instances by their number. Reads on only as the caller asks for more; to stop,
   * leave the loop.
   * @throws RaylogError bad-request for a key's value that is not one; what the store throws
   */
  find(query: DicomQuery): AsyncGenerator<DicomMatch, void, undefined>
  /** Keys that narrow nothing: not indexed, below the level, or a value for what is only counted. */
  unsupported(query: Pick<DicomQuery, 'level' | 'keys'>): string[]
}

export interface DicomIndexOptions {
  documents: Pick<DocumentStore, 'find' | 'list' | 'getMany' | 'countBy'>
  secrets: Pick<Secrets, 'open' | 'digest'>
  /** Opened studies and series that are held in memory, so that a search by part of a name opens each once. */
  held?: number
}

export function createDicomIndex({ documents, secrets, held = 20_000 }: DicomIndexOptions): DicomIndex {
  const opened = new LRUCache<string, { sealed: string; mark: string | undefined; values: IndexedValues }>({
    max: held,
  })

  function open({ id, sealed, mark }: { id: string; sealed: string; mark?: string }): IndexedValues {
    const known = opened.get(id)
    if (known?.sealed === sealed && known.mark === mark) return known.values
    const values: IndexedValues = JSON.parse(secrets.open(sealed, id))
    opened.set(id, { sealed, mark, values })
    return values
  }

  function heldOf(id: string, mark: FilterValue): IndexedValues | undefined {
    const known = opened.get(id)
    return known?.mark !== undefined && known.mark === mark ? known.values : undefined
  }

  const lookups = createLookups({ documents, secrets, open, held: heldOf })
  return {
    async *find(query) {
      let left = query.limit ?? Number.POSITIVE_INFINITY
      if (left <= 0) return
      for await (const match of lookups[query.level]({ ...query, byLevel: byLevel(keysOf(query)) })) {
        yield match
        if (--left <= 0) return
      }
    },
    unsupported: ({ level, keys = {} }) =>
      Object.entries(keys).flatMap(([name, value]) => {
        const attribute = indexedAttribute(name)
        if (attribute === undefined || depth(attribute.level) > depth(level)) return [name]
        return !attribute.matched && matchKey(name, value) !== undefined ? [name] : []
      }),
  }
}

const depth = (level: QueryLevel): number => queryLevels.indexOf(level)

function keysOf({ level, keys = {} }: DicomQuery): MatchKey[] {
  return Object.entries(keys).flatMap(([name, value]) => {
    const key = matchKey(name, value)
    return key === undefined || key === 'unsupported' || depth(key.attribute.level) > depth(level) ? [] : [key]
  })
}

export type KeysByLevel = Readonly<Record<QueryLevel, readonly MatchKey[]>>

function byLevel(keys: readonly MatchKey[]): KeysByLevel {
  const of = (level: QueryLevel) => keys.filter(key => key.attribute.level === level)
  return { PATIENT: of('PATIENT'), STUDY: of('STUDY'), SERIES: of('SERIES'), IMAGE: of('IMAGE') }
}

/** Which attributes an answer has: those that are always returned at the level, and those that were named. */
export interface Returned {
  level: QueryLevel
  /** Tags or keywords, or all that is indexed. */
  include: 'all' | readonly string[]
  /** Levels above whose attributes are returned too: those that the query did not name (PS3.18 10.6.3.3). */
  above?: readonly QueryLevel[]
  /** Whether those of `always` are left out that nobody named, as C-FIND does. */
  onlyNamed?: boolean
}

/** An answer in the DICOM JSON model, sorted by tag; an identifier of C-FIND is written from the same. */
export function attributesOf(values: IndexedValues, returned: Returned): DicomAttributes {
  const answer: [string, DicomAttributes[string]][] = []
  for (const attribute of returnedAttributes(returned)) {
    const { tag, vr } = attribute
    const found = values[tag]
    // Asked for by name it is answered, empty where nothing is known.
    if (found !== undefined && found.length > 0) answer.push([tag, { vr, Value: [...found] }])
    else if (attribute.always || isNamed(returned, attribute)) answer.push([tag, { vr }])
  }
  return Object.fromEntries(answer.toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

const isNamed = ({ include }: Returned, { tag, keyword }: IndexedAttribute): boolean =>
  include !== 'all' && (include.includes(tag) || include.includes(keyword))

function returnedAttributes(returned: Returned): IndexedAttribute[] {
  const { level, include, above = [], onlyNamed = false } = returned
  return indexedAttributes.filter(attribute => {
    if (depth(attribute.level) > depth(level)) return false
    if (isNamed(returned, attribute)) return true
    const here = attribute.level === level || above.includes(attribute.level)
    return here && (include === 'all' || (attribute.always && !onlyNamed))
  })
}
