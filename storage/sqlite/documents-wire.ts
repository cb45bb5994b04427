/** What the SQLite document store asks of its thread. Documents cross as the JSON that is kept. */
import type { Collection } from '../../schemas/documents.ts'
import type { Filter, Query } from '../documents.ts'

export interface StoredDocument {
  id: string
  json: string
}

export type DocumentOperations = {
  upsert: { input: { collection: Collection; docs: readonly StoredDocument[] }; output: undefined }
  /** Whether it was not there. */
  insert: { input: { collection: Collection; doc: StoredDocument }; output: boolean }
  /** Whether it was there with the version `from`. */
  advance: { input: { collection: Collection; doc: StoredDocument; from: number }; output: boolean }
  /** Those that are there, in the order asked for. */
  get: { input: { collection: Collection; ids: readonly string[] }; output: string[] }
  find: { input: { collection: Collection; query: Query }; output: { items: string[]; next: string | null } }
  /** The fields of all documents, one after the other, as JSON: thousands of texts cross in a tenth of the time as one. */
  list: {
    input: { collection: Collection; fields: readonly string[]; query: Query }
    output: { cells: string; next: string | null }
  }
  count: { input: { collection: Collection; where: Filter }; output: number }
  countBy: { input: { collection: Collection; field: string; where: Filter }; output: [string, number][] }
  delete: { input: { collection: Collection; id: string }; output: boolean }
  check: { input: undefined; output: undefined }
}
