/** The services of distributed mode for a benchmark, images in S3, and records of them on Kafka. */
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MongoClient } from 'mongodb'
import { createCodec, subjectOf } from '../../kafka/codec.ts'
import { toRecord } from '../../kafka/runner/attempt.ts'
import { instanceOf } from '../../models/testing.ts'
import type { Collection } from '../../schemas/documents.ts'
import { type StoredObject, topics } from '../../schemas/topics.ts'
import { indexesOf } from '../../storage/mongo/query.ts'
import { openS3Objects } from '../../storage/s3-objects.ts'
import { cpuMsOf, treeOf } from '../../tests/harness/cost.ts'
import { type Services, startServices } from '../../tests/services/distributed/services.ts'
import { openLog } from '../../tests/services/kafka-kit.ts'
import type { Scenario } from '../engine/scenarios.ts'

export interface Ground extends AsyncDisposable {
  services: Services
  bucket: string
  /** CPU time of Kafka, S3 and the document database so far, ms. */
  servicesCpuMs(): number
  ensureTopics(names: readonly string[], partitions: number): Promise<void>
  store(scenario: Scenario): Promise<StoredObject[]>
  /** So many instances, in turn of these images: what it resolves with puts them onto the topic, all in one append. */
  prepare(
    topic: string,
    scenario: Scenario,
    objects: readonly StoredObject[],
    count: number,
  ): Promise<() => Promise<void>>
  /** With the indexes that Raylog gives its own collections of these names. */
  index(database: string, names: readonly Collection[]): Promise<void>
  /** Documents of a collection, as the server counts them without looking at each. */
  documents(database: string, collection: string): Promise<number>
}

/** Studies that the instances are spread over: enough to fill the partitions evenly. */
const studies = 500

/** @returns why not, where the services cannot be had here */
export async function groundOrReason(): Promise<Ground | string> {
  let services: Services
  try {
    services = await startServices()
  } catch (error) {
    return `the services cannot be had here: ${error instanceof Error ? error.message : String(error)}`
  }
  return openGround(services)
}

/** Says why and ends this process, without an error, where the services cannot be had here. */
export async function groundOrSkip(bench: string): Promise<Ground> {
  const ground = await groundOrReason()
  return typeof ground === 'string' ? skip(bench, ground) : ground
}

/** The benchmark is left out: no figures, and no error. */
export function skip(bench: string, reason: string): never {
  console.log(JSON.stringify({ bench, skipped: reason, rows: [] }))
  process.exit()
}

async function openGround(services: Services): Promise<Ground> {
  await using opening = new AsyncDisposableStack()
  opening.use(services)
  const { kafka, registry, mongo, s3 } = services
  const tempFolder = mkdtempSync(join(tmpdir(), 'raylog-bench-s3-'))
  opening.defer(() => rmSync(tempFolder, { recursive: true, force: true }))
  const bucket = 'raylog-test'
  const { accessKey, secretKey, url: endpoint } = s3
  const access = { endpoint, bucket, region: 'us-east-1', accessKey, secretKey, sse: null, makeBucket: true }
  const objects = await openS3Objects({ ...access, tempFolder })
  opening.defer(() => objects.close())
  const log = await openLog(kafka, { registry: { url: registry.url, auth: null } })
  opening.defer(() => log.close())
  const codec = createCodec(log)
  // Whoever reads by the registry alone finds the schema there.
  await log.schemaId(subjectOf(topics.predictions), JSON.stringify(topics.predictions.schema))
  const client = await new MongoClient(mongo.url).connect()
  opening.defer(() => client.close())
  const ensureTopics = (names: readonly string[], partitions: number) =>
    log.ensureTopics(names.map(name => ({ name, partitions, retention: { maxAgeMs: null, maxBytes: null } })))
  const open = opening.move()
  const pids = [...kafka.nodes, s3.server, mongo.server].map(({ pid }) => pid)
  return {
    services,
    bucket,
    servicesCpuMs: () => cpuMsOf(treeOf(pids)),
    ensureTopics,
    store: ({ files, contentType }) => Promise.all(files.map(file => objects.put(file, contentType))),
    async prepare(topic, { rows }, stored, count) {
      const preparing = Array.from({ length: count }, async (_, n) => {
        const object = stored[n % stored.length]
        if (!object) throw new Error('no object')
        const instance = instanceOf(object, { rows, columns: rows })
        const event = { ...instance, id: `in_${randomUUID()}`, study: `st_${n % studies}` }
        return { ...(await toRecord(codec, topics.instances, event)), topic }
      })
      const records = await Promise.all(preparing)
      return async () => void (await log.append(records))
    },
    async index(database, names) {
      for (const name of names) await client.db(database).collection(name).createIndexes(indexesOf(name))
    },
    documents: (database, collection) => client.db(database).collection(collection).estimatedDocumentCount(),
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  }
}
