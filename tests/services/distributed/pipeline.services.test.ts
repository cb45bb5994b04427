/** The whole of Raylog in the processes of docker-compose.yml, on Kafka, a schema registry, MongoDB's protocol and S3. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { MongoClient } from 'mongodb'
import { describe, expect, it } from 'vitest'
import type { Raylog } from '../../harness/raylog.ts'
import { pipelineContract } from '../../pipeline/contract.ts'
import { type Processes, startProcesses, usualGroups } from './processes.ts'
import { type Services, startServices } from './services.ts'

function filesUnder(folder: string): Map<string, Buffer> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile())
  const paths = entries.map(({ parentPath, name }) => join(parentPath, name))
  return new Map(paths.map(path => [relative(folder, path), readFileSync(path)]))
}

/** Each collection as it is in the database. */
async function documentsOf({ mongo }: Services): Promise<Map<string, Buffer>> {
  await using client = await new MongoClient(mongo.url).connect()
  const collections = await client.db('raylog').collections()
  const found = new Map<string, Buffer>()
  for (const collection of collections)
    found.set(`mongo/${collection.collectionName}`, Buffer.from(JSON.stringify(await collection.find().toArray())))
  if ((found.get('mongo/patients')?.length ?? 0) < 10) throw new Error('there are no patients to look into')
  return found
}

let processes: Processes<keyof typeof usualGroups>

pipelineContract('in five processes on Kafka, MongoDB and S3', async set => {
  await using starting = new AsyncDisposableStack()
  const services = starting.use(await startServices())
  processes = starting.use(await startProcesses(services, usualGroups, { set }))
  const running = starting.move()
  const { intake, gateway } = processes.of
  return {
    intake,
    gateway,
    processes: processes.all,
    async kept() {
      const log = [...filesUnder(services.kafka.nodes[0]?.folder ?? '')].filter(([name]) => name.includes('.v1-'))
      if (log.length === 0) throw new Error('there is no log to look into')
      return new Map([...filesUnder(processes.folder), ...log, ...(await documentsOf(services))])
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
})

const childrenOf = ({ pid }: Raylog) =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean)

describe('each of the five processes', () => {
  it('says that it lives, what it depends on and what it measures, and nothing else', async () => {
    const parts: Record<string, string[]> = {}
    for (const [name, one] of Object.entries(processes.of)) {
      expect((await fetch(`${one.url}/healthz`)).status).toBe(200)
      expect((await fetch(`${one.url}/metrics`)).status).toBe(401)
      expect(await (await one.get('/metrics')).text()).toContain('raylog_')
      const health = await one.json<{ parts: { part: string }[] }>('/api/v1/monitoring/health')
      parts[name] = health.parts.map(({ part }) => part).sort()
      expect((await one.get('/api/v1/instances')).status).toBe(name === 'gateway' ? 200 : 404)
    }
    expect(parts.infer).toEqual(['log', 'models', 'objects'])
    expect(parts.results).toEqual(expect.arrayContaining(['documents', 'log', 'objects']))
    // Queries and retrievals at the DICOM port are answered from the documents.
    expect(parts.intake).toEqual(expect.arrayContaining(['dimse', 'documents', 'log', 'objects']))
    expect(parts.intake).not.toContain('models')
  })

  it.skipIf(process.platform !== 'linux')('starts workers for models only where models run (Linux)', () => {
    expect(childrenOf(processes.of.infer)).toHaveLength(1)
    expect(childrenOf(processes.of.replay)).toHaveLength(1)
    expect(childrenOf(processes.of.results)).toEqual([])
    expect(childrenOf(processes.of.gateway)).toEqual([])
    expect(childrenOf(processes.of.intake)).toEqual([])
  })
})
