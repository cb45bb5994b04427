import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openSqliteDocuments } from '../../storage/sqlite-documents.ts'
import { dicomQueryContract } from './dicom-query.ts'

dicomQueryContract('the SQLite document store', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'raylog-query-'))
  const store = await openSqliteDocuments({ folder })
  return {
    store,
    async close() {
      await store.close()
      await rm(folder, { recursive: true })
    },
  }
})
