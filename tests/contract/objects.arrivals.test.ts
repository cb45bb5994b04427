/** The folder store whose objects are put as those of a sender that waits: into the arrivals at first. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openFolderObjects } from '../../storage/folder-objects.ts'
import type { ObjectStore } from '../../storage/objects.ts'
import { until } from '../harness/until.ts'
import { objectsContract } from './objects.ts'

const module = JSON.stringify(new URL('../../storage/folder-objects.ts', import.meta.url).href)

/** Never by themselves: what the contract asks of is among the arrivals still. */
const settings = { segmentBytes: 8 * 1024 * 1024, maxSegments: 2, idleMs: 3_600_000 }

objectsContract('the folder with arrivals', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'raylog-objects-'))
  const opened = await openFolderObjects({ folder, arrivals: settings })
  const isReady = async () => (await readdir(join(folder, 'arrivals'))).some(name => !name.endsWith('.new'))
  await until('there is a segment', async () => {
    const { key } = await opened.put(Buffer.from('first'), 'text/plain', { soon: true })
    await opened.delete(key)
    return isReady()
  })
  const store: ObjectStore = { ...opened, put: (bytes, type) => opened.put(bytes, type, { soon: true }) }
  return {
    store,
    // Another process sees only what has a file.
    async again() {
      for await (const { key } of opened.list()) await opened.put(await opened.get(key), 'text/plain')
      return openFolderObjects({ folder })
    },
    unfinished: async () => (await readdir(join(folder, 'incoming'))).length,
    childSource: `import { openFolderObjects } from ${module}
const store = await openFolderObjects({ folder: ${JSON.stringify(folder)} })`,
    async release() {
      await opened.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
})
