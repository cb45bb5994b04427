/** The stores of embedded mode: everything in one process and one folder. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Plan } from '../kafka/compile.ts'
import { openEmbeddedLog } from '../kafka/embedded/log.ts'
import { openFolderObjects } from '../storage/folder-objects.ts'
import { openSqliteDocuments } from '../storage/sqlite-documents.ts'
import type { Stores, Surroundings } from './ports.ts'

/** @throws RaylogError data-in-use, store-full, store-unavailable when a store is opened */
export function embeddedStores({ config }: Plan, { clock }: Surroundings): Stores {
  mkdirSync(config.data, { recursive: true, mode: 0o700 })
  return {
    log: () => openEmbeddedLog({ folder: join(config.data, 'log'), clock }),
    documents: () => openSqliteDocuments({ folder: join(config.data, 'documents') }),
    objects: () => openFolderObjects({ folder: join(config.data, 'objects') }),
  }
}
