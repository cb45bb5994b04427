import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openSqliteDocuments } from '../../storage/sqlite-documents.ts'
import { documentsContract } from './documents.ts'

documentsContract('the SQLite document store', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'raylog-documents-'))
  let store = await openSqliteDocuments({ folder })
  return {
    store,
    async reopen() {
      await store.killThread()
      await store.close()
      store = await openSqliteDocuments({ folder })
      return store
    },
    async close() {
      await store.close()
      await rm(folder, { recursive: true })
    },
  }
})
