import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openFolderObjects } from '../../storage/folder-objects.ts'
import { objectsContract } from './objects.ts'

objectsContract('a folder', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'raylog-objects-'))
  const store = await openFolderObjects({ folder })
  const module = JSON.stringify(new URL('../../storage/folder-objects.ts', import.meta.url).href)
  return {
    store,
    again: () => openFolderObjects({ folder }),
    unfinished: async () => (await readdir(join(folder, 'incoming'))).length,
    childSource: `import { openFolderObjects } from ${module}
const store = await openFolderObjects({ folder: ${JSON.stringify(folder)} })`,
    async release() {
      await store.close()
      await rm(folder, { recursive: true })
    },
  }
})
