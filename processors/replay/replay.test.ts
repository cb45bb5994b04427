/** Replays over a real log and real documents; the model is the only thing that is made up. */

import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import avro from 'avsc'
import pino from 'pino'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createCodec } from '../../kafka/codec.ts'
import { type EmbeddedLog, openEmbeddedLog } from '../../kafka/embedded/log.ts'
import type { Models } from '../../models/port.ts'
import { systemClock } from '../../monitoring/clock.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { isEnded, noCounts, type ReplayDoc } from '../../schemas/replay.ts'
import { allTopics, type Instance, type Prediction, topics } from '../../schemas/topics.ts'
import { openSqliteDocuments, type SqliteDocuments } from '../../storage/sqlite-documents.ts'
import { anInstance, aPrediction, chestModel } from '../../tests/gateway/samples.ts'
import { until } from '../../tests/harness/until.ts'
import { openDispatcher } from './dispatcher.ts'
import { newestTerm } from './term.ts'

const leaseMs = 600
let folder: string
let log: EmbeddedLog
let documents: SqliteDocuments
let codec: ReturnType<typeof createCodec>
/** What was said, in the order of its being written. */
let said: { owner: string; prediction: Prediction }[]
let running: ReturnType<typeof openDispatcher>[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'raylog-replays-'))
  log = await openEmbeddedLog({ folder: join(folder, 'log'), trimEveryMs: null })
  documents = await openSqliteDocuments({ folder: join(folder, 'documents') })
  await log.ensureTopics(
    allTopics.map(({ name, partitions }) => ({ name, partitions, retention: { maxAgeMs: null, maxBytes: null } })),
  )
  codec = createCodec(log)
  said = []
  running = []
})
afterEach(async () => {
  for (const one of running) await one()
  await log.close()
  await documents.close()
  await rm(folder, { recursive: true })
})

const output = () => {
  const { label, score, threshold, confidence, probabilities, regions, quality, timings } = aPrediction(1)
  return { label, score, threshold, confidence, probabilities, regions, explanation: null, quality, timings }
}

type Predict = (instance: Instance, signal: AbortSignal) => Promise<ReturnType<typeof output>>

/** A process that may run replays. `hold` makes its document store stand still, as a frozen process would find it. */
function aProcess(owner: string, predict: Predict = async () => output(), more: { inFlight?: number } = {}) {
  const { ref } = chestModel()
  const models: Models = {
    list: () => [chestModel()],
    routes: ({ modality }) => [{ model: ref, accepted: modality !== 'CT', reason: `modality is ${modality}` }],
    predict: (_model, instance, { signal, priority }) => {
      expect(priority).toBe('background')
      return predict(instance, signal)
    },
    giveWay: () => undefined,
    close: async () => undefined,
  }
  let frozen: PromiseWithResolvers<void> | undefined
  const slow: SqliteDocuments = {
    ...documents,
    upsert: async (...args) => {
      await frozen?.promise
      return documents.upsert(...args)
    },
  }
  const dispatcher = openDispatcher({
    owner,
    leaseMs,
    atOnce: 2,
    run: {
      deps: { log, codec, documents: slow, models },
      publish: async (topic, ...events) => {
        for (const event of events) said.push({ owner, prediction: event as Prediction })
        return log.append(
          await Promise.all(
            events.map(async event => ({ topic: topic.name, key: 'st', value: await codec.encode(topic, event) })),
          ),
        )
      },
      clock: systemClock,
      logger: pino({ level: 'silent' }),
      random: Math.random,
      settings: {
        inFlight: 4,
        beatMs: 20,
        retries: 2,
        giveWayTo: ['infer'],
        giveWayAbove: 10,
        giveWayAfterMs: 60_000,
        ...more,
      },
    },
  })
  running.push(dispatcher)
  return {
    close: dispatcher,
    freeze: () => {
      frozen = Promise.withResolvers()
    },
    thaw: () => {
      frozen?.resolve()
      frozen = undefined
    },
  }
}

async function append(...instances: Instance[]): Promise<void> {
  await log.append(
    await Promise.all(
      instances.map(async instance => ({
        topic: topics.instances.name,
        key: instance.study,
        value: await codec.encode(topics.instances, instance),
      })),
    ),
  )
}

async function ask(more: Partial<ReplayDoc> = {}): Promise<string> {
  const { bounds = [] } = (await log.topics()).find(({ name }) => name === topics.instances.name) ?? {}
  const doc: ReplayDoc = {
    id: `rr_${Math.random().toString(36).slice(2)}`,
    model: { name: 'chest', version: '1.0.0' },
    from: 0,
    to: Date.now() + 60_000,
    ...{ sites: [], studies: [], modalities: [], ratePerSecond: null },
    ranges: bounds.map(({ partition, low, high }) => ({ partition, from: low, to: high })),
    wanted: 'run',
    phase: 'open',
    createdAt: Date.now(),
    ...more,
  }
  await documents.insert('replays', doc)
  return doc.id
}

const ended = (id: string) =>
  until('the replay ends', async () => {
    const term = await newestTerm(documents, id)
    return term && isEnded(term.state) ? term : undefined
  })

const chests = (count: number) => Array.from({ length: count }, (_, n) => anInstance(2 * n))

it('counts what the model does not take, what is gone, what fails, and what does not decode, and goes on', async () => {
  await append(...chests(6), anInstance(1), anInstance(3))
  const value = Buffer.from([0, 0, 0, 0, 99, 1, 2])
  await log.append([{ topic: topics.instances.name, key: 'st_0002', value }])
  aProcess('a', async ({ id }) => {
    if (id === 'in_0002') throw new RaylogError('object-missing', 'erased')
    if (id === 'in_0004') throw new RaylogError('decode-failed', 'damaged')
    if (id === 'in_0006') throw new RaylogError('infer-failed', 'each time')
    return output()
  })
  const id = await ask()
  const { state, counts, codes } = await ended(id)
  expect(state).toBe('done')
  expect(counts).toEqual({ ...noCounts, read: 9, predicted: 3, refused: 2, gone: 1, failed: 2, unreadable: 1 })
  expect(codes).toEqual({ 'object-missing': 1, 'decode-failed': 1, 'infer-failed': 1 })
  const gone = await documents.find('replayGone', { where: { replay: id } })
  expect(gone.items).toMatchObject([
    { instance: 'in_0002', study: anInstance(2).study, object: anInstance(2).object.key },
  ])
})

it('reads records of every schema that was ever released', async () => {
  const released = new URL('../../schemas/released/', import.meta.url)
  const files = readdirSync(released).filter(name => name.startsWith(`${topics.instances.name}.`))
  expect(files.length).toBeGreaterThan(0)
  for (const [at, file] of files.entries()) {
    const schema = JSON.parse(readFileSync(new URL(file, released), 'utf8'))
    await appendAs(schema, anInstance(2 * at))
  }
  // And of one without the fields that have a default now, as an older one would be.
  const now = JSON.parse(JSON.stringify(topics.instances.schema))
  const older = { ...now, fields: now.fields.filter((field: object) => !('default' in field)) }
  await appendAs(older, anInstance(1_000))
  const models: (string | null)[] = []
  aProcess('a', async ({ modality, priority, requested }) => {
    models.push(modality)
    expect([priority, requested]).toEqual(['routine', []])
    return output()
  })
  const { counts } = await ended(await ask())
  expect(counts).toEqual({ ...noCounts, read: files.length + 1, predicted: files.length + 1 })
  expect(models).toContain(null)
})

async function appendAs(schema: object, instance: Instance): Promise<void> {
  const id = await log.schemaId(`${topics.instances.name}-value`, JSON.stringify(schema))
  const head = Buffer.alloc(5)
  head.writeUInt32BE(id, 1)
  const value = Buffer.concat([head, avro.Type.forSchema(JSON.parse(JSON.stringify(schema))).toBuffer(instance)])
  await log.append([{ topic: topics.instances.name, key: instance.study, value }])
}

it('is run by one process, and taken over by another when that one stands still, never by both at once', async () => {
  await append(...chests(200))
  const busy = new Map<string, number>()
  let both = 0
  const predict =
    (owner: string): Predict =>
    async (_instance, signal) => {
      busy.set(owner, (busy.get(owner) ?? 0) + 1)
      if ([...busy.values()].filter(count => count > 0).length > 1) both += 1
      await systemClock.sleep(20, signal).finally(() => busy.set(owner, (busy.get(owner) ?? 1) - 1))
      return output()
    }
  const first = aProcess('a', predict('a'), { inFlight: 2 })
  const id = await ask()
  await until('a runs it', () => said.length > 10)
  aProcess('b', predict('b'), { inFlight: 2 })
  first.freeze()
  await until('b has taken it over', () => said.some(({ owner }) => owner === 'b'))
  first.thaw()
  const { counts, epoch } = await ended(id)
  expect(both).toBe(0)
  expect(epoch).toBeGreaterThanOrEqual(2)
  expect(counts).toEqual({ ...noCounts, read: 200, predicted: 200 })
  expect(new Set(said.map(({ prediction }) => prediction.id)).size).toBe(200)
  // What was said and not kept when it stood still is said again, the same: two thirds of a lease at most.
  expect(said.length).toBeLessThan(280)
})

it('goes at the rate that it is given', async () => {
  await append(...chests(30))
  aProcess('a')
  const begun = performance.now()
  await ended(await ask({ ratePerSecond: 50 }))
  const seconds = (performance.now() - begun) / 1_000
  // The first tenth of a second's worth may come at once.
  expect(30 / seconds).toBeLessThan(75)
})

it('holds back while live work is behind, and says for whom', async () => {
  await append(...chests(40))
  for (const partition of [0, 1, 2, 3, 4, 5])
    await log.seek('infer', [{ topic: topics.instances.name, partition, offset: 0 }])
  // None is said before it holds back: on a busy machine all would be, before it looks.
  const released = Promise.withResolvers<void>()
  let asked = 0
  aProcess('a', async () => {
    asked++
    await released.promise
    return output()
  })
  const id = await ask()
  await until('it holds back', async () => (await newestTerm(documents, id))?.givesWayTo === 'infer')
  released.resolve()
  await until('what was under way is done', async () => (await newestTerm(documents, id))?.counts.predicted === asked)
  expect(asked, 'no more than may be in flight, and the one that waits for its place').toBeLessThanOrEqual(5)
  const { bounds = [] } = (await log.topics()).find(({ name }) => name === topics.instances.name) ?? {}
  await log.seek(
    'infer',
    bounds.map(({ partition, high }) => ({ topic: topics.instances.name, partition, offset: high })),
  )
  const { counts, givesWayTo } = await ended(id)
  expect(givesWayTo).toBeNull()
  expect(counts.predicted).toBe(40)
})

it('waits out a model that is not loaded anywhere, and ends what is cancelled before anyone ran it', async () => {
  aProcess('a')
  const waiting = await ask({ model: { name: 'chest', version: '9' } })
  const cancelled = await ask({ wanted: 'cancel' })
  expect((await ended(cancelled)).state).toBe('cancelled')
  expect(await newestTerm(documents, waiting)).toBeUndefined()
})

it('ends where records of its range are not on the log, with those that are', async () => {
  await append(...chests(20))
  const id = await ask({ wanted: 'pause' })
  const { bounds = [] } = (await log.topics()).find(({ name }) => name === topics.instances.name) ?? {}
  const doc = await documents.get('replays', id)
  if (!doc) throw new Error('it was asked for')
  const ranges = bounds.map(({ partition, low, high }) => ({ partition, from: low, to: high + 5 }))
  await documents.upsert('replays', [{ ...doc, ranges, wanted: 'run' }])
  aProcess('a')
  expect((await ended(id)).counts).toEqual({ ...noCounts, read: 20, predicted: 20 })
})
