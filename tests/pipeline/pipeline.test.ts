/** The whole of Raylog in one process and one folder. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { startRaylog } from '../harness/raylog.ts'
import { pipelineContract } from './contract.ts'

pipelineContract('in one process', async set => {
  const raylog = await startRaylog({ set })
  return {
    intake: raylog,
    gateway: raylog,
    processes: [raylog],
    async kept() {
      const files = readdirSync(raylog.data, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile())
      const outside = files.filter(({ parentPath }) => !parentPath.startsWith(join(raylog.data, 'objects')))
      const paths = outside.map(({ parentPath, name }) => join(parentPath, name))
      const kept = new Map(paths.map(path => [relative(raylog.data, path), readFileSync(path)]))
      if (!kept.get(join('documents', 'documents.sqlite'))?.length)
        throw new Error('there are no documents to look into')
      return kept
    },
    [Symbol.asyncDispose]: () => raylog[Symbol.asyncDispose](),
  }
})
