/** DocumentStore: the port for what the gateway queries. Writes are durable when they resolve. */
import type { Collection, Documents, Versioned } from '../schemas/documents.ts'

export type FilterValue = string | number | null
/** Fields (dotted paths of the collection's declared filters, its time field, or `id`) that must all match. */
export type Filter = Readonly<
  Record<
    string,
    FilterValue | { readonly in: readonly FilterValue[] } | { readonly gte?: number; readonly lt?: number }
  >
>

export interface Page<D> {
  items: D[]
  /** Pass as `cursor` for what follows; null at the end. Opaque. */
  next: string | null
}

export interface Query {
  where?: Filter
  /** By the collection's time field, then id. Newest first unless told otherwise. */
  order?: 'newest' | 'oldest'
  cursor?: string
  /** 1..1000, default 50. */
  limit?: number
  /** Passes over so many first; each costs a step in an index, so a cursor is better where one can be kept. */
  offset?: number
}

export interface DocumentStore {
  /** Inserts or replaces by id. All of one call or none; many calls share a commit. */
  upsert<C extends Collection>(collection: C, docs: readonly Documents[C][]): Promise<void>
  /** Inserts unless the id is there. True for exactly one caller. */
  insert<C extends Collection>(collection: C, doc: Documents[C]): Promise<boolean>
  /**
   * Compare-and-set: replaces the document of that id whose `version` is one below that of `doc`. True for exactly one
   * caller; false where there is no such document, or another was first.
   */
  advance<C extends Versioned>(collection: C, doc: Documents[C]): Promise<boolean>
  get<C extends Collection>(collection: C, id: string): Promise<Documents[C] | undefined>
  getMany<C extends Collection>(collection: C, ids: readonly string[]): Promise<Documents[C][]>
  /** @throws RaylogError bad-request for a filter that is not declared or a cursor that is not one */
  find<C extends Collection>(collection: C, query?: Query): Promise<Page<Documents[C]>>
  /**
   * A page as `find` has it, but only declared fields of each document, in the order given; null where one has none.
   * Of those that the index by time carries, many are had for the price of a few documents.
   */
  list(collection: Collection, fields: readonly string[], query?: Query): Promise<Page<FilterValue[]>>
  count(collection: Collection, where?: Filter): Promise<number>
  /** Number of documents for each value of a declared filter field; null counts as ''. */
  countBy(collection: Collection, field: string, where?: Filter): Promise<Record<string, number>>
  delete(collection: Collection, id: string): Promise<boolean>
  check(): Promise<void>
  close(): Promise<void>
}

/** All that match, page by page, oldest first: for questions whose answer is known to be small. */
export async function allOf<C extends Collection>(
  documents: Pick<DocumentStore, 'find'>,
  collection: C,
  where: Filter,
): Promise<Documents[C][]> {
  const items: Documents[C][] = []
  for (let cursor: string | null = null; ; ) {
    const query = { where, order: 'oldest' as const, limit: 1000 }
    const page: Page<Documents[C]> = await documents.find(collection, cursor === null ? query : { ...query, cursor })
    items.push(...page.items)
    if (page.next === null) return items
    cursor = page.next
  }
}
