/** Documents that a search looks at, a page at a time: no more than it asks for. */
import type { IndexedValues } from '../../schemas/dicom-index.ts'
import type { Documents } from '../../schemas/documents.ts'
import type { DocumentStore, FilterValue, Page } from '../documents.ts'
import type { MatchKey } from './keys.ts'
import type { Narrowed } from './narrow.ts'

type Indexed = 'dicomStudies' | 'dicomSeries' | 'dicomInstances'

export interface PagePorts {
  documents: Pick<DocumentStore, 'find' | 'list' | 'getMany'>
  /** What a study's sealed text holds, if it is at hand and is still the one of this mark. */
  held(id: string, mark: FilterValue): IndexedValues | undefined
}

interface Wanted {
  limit?: number
  signal?: AbortSignal
}

/** The first page is as long as what is wanted; where that is not enough, later ones are longer. */
const firstPage = 128
const largestPage = 1000

/** Pages of a collection; those to be passed over are left to the store where it alone decides what matches. */
export async function* pages<C extends Indexed>(
  { documents }: Pick<PagePorts, 'documents'>,
  collection: C,
  { where }: Pick<Narrowed, 'where'>,
  skipped: number,
  { limit: wanted, signal }: Wanted,
): AsyncGenerator<Documents[C][], void, undefined> {
  const order = orderOf(collection)
  let cursor: string | null = null
  for (const limit of lengths(wanted)) {
    signal?.throwIfAborted()
    const place: { cursor?: string; offset?: number } = cursor === null ? { offset: skipped } : { cursor }
    const page: Page<Documents[C]> = await documents.find(collection, { where, order, limit, ...place })
    yield page.items
    if (page.next === null) return
    cursor = page.next
  }
}

/**
 * Studies among which the matches are, where the store cannot tell them all. Behind the first page only those are read that
 * match by what is held of them already, and those of which nothing is held.
 */
export async function* studyPages(
  ports: PagePorts,
  { where }: Pick<Narrowed, 'where'>,
  keys: readonly MatchKey[],
  { limit: wanted, signal }: Wanted,
): AsyncGenerator<Documents['dicomStudies'][], void, undefined> {
  const sealed = keys.filter(({ attribute }) => !attribute.computed)
  const order = orderOf('dicomStudies')
  let cursor: string | undefined
  for (const limit of lengths(wanted)) {
    signal?.throwIfAborted()
    const query = { where, order, limit, ...(cursor !== undefined && { cursor }) }
    if (cursor === undefined) {
      const page = await ports.documents.find('dicomStudies', query)
      yield page.items
      if (page.next === null) return
      cursor = page.next
      continue
    }
    const { items, next } = await ports.documents.list('dicomStudies', ['id', 'mark'], query)
    const candidates = items.flatMap(([id = null, mark = null]) => {
      const values = ports.held(String(id), mark)
      return values === undefined || fits(values, sealed) ? [String(id)] : []
    })
    yield await ports.documents.getMany('dicomStudies', candidates)
    if (next === null) return
    cursor = next
  }
}

/** An element fits where one of its values does (C.2.2.2.1: multiple values). */
export const fits = (values: IndexedValues, keys: readonly MatchKey[]): boolean =>
  keys.every(key => values[key.attribute.tag]?.some(value => key.matches(value)) === true)

const orderOf = (collection: Indexed): 'newest' | 'oldest' => (collection === 'dicomStudies' ? 'newest' : 'oldest')

function* lengths(wanted = firstPage): Generator<number, never> {
  for (let length = Math.max(1, Math.min(wanted, largestPage)); ; length = Math.min(largestPage, length * 4))
    yield length
}
