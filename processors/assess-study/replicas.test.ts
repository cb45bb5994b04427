/** Several assessors on one store and one log: what a crash, a frozen process or a race leaves behind. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createCodec } from '../../kafka/codec.ts'
import { type EmbeddedLog, openEmbeddedLog } from '../../kafka/embedded/log.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { allTopics, type StudyAssessed, topics } from '../../schemas/topics.ts'
import { openSqliteDocuments, type SqliteDocuments } from '../../storage/sqlite-documents.ts'
import { anInstance, aPrediction, chest, chestModel } from '../../tests/gateway/samples.ts'
import { HandClock } from '../../tests/harness/hand-clock.ts'
import { Assessor } from './assessor.ts'
import { withImage } from './completion.ts'
import { answerOf, imageOf } from './parts.ts'
import { config } from './settings.ts'

const leaseMs = 10_000
const settings = config.parse({ rules: [{ images: 2 }], leaseMs })
let folder: string
let clock: HandClock
let log: EmbeddedLog
let documents: SqliteDocuments
let codec: ReturnType<typeof createCodec>

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'raylog-replicas-'))
  clock = new HandClock()
  log = await openEmbeddedLog({ folder: join(folder, 'log'), trimEveryMs: null, clock })
  documents = await openSqliteDocuments({ folder: join(folder, 'documents') })
  await log.ensureTopics(
    allTopics.map(({ name, partitions }) => ({ name, partitions, retention: { maxAgeMs: null, maxBytes: null } })),
  )
  codec = createCodec(log)
})
afterEach(async () => {
  await log.close()
  await documents.close()
  await rm(folder, { recursive: true })
})

type Write = (event: StudyAssessed, append: () => Promise<void>) => Promise<void>

/** A process. @param write what becomes of an append in it */
function aReplica(write: Write = (_, append) => append()): Assessor {
  return new Assessor({
    deps: { documents, log, codec, models: chest([chestModel()]) },
    async publish(topic, ...events) {
      for (const said of events) {
        const event = said as StudyAssessed
        await write(event, async () => {
          await log.append([{ topic: topic.name, key: event.study, value: await codec.encode(topics.studies, event) }])
        })
      }
      return []
    },
    clock,
    config: settings,
    reading: { isThrough: async () => true },
  })
}

async function onLog(): Promise<string[]> {
  const all: string[] = []
  for (let partition = 0; partition < topics.studies.partitions; partition++) {
    const records = await log.read({ topic: topics.studies.name, partition, offset: 0 }, 1000)
    for (const record of records) {
      const { study, revision } = await codec.decode(topics.studies, record)
      all.push(`${study} ${revision}`)
    }
  }
  return all.sort()
}

/** Two images with their answers: complete by the rule, to whoever considers it. */
async function aWholeStudy(replica: Assessor, study: string): Promise<void> {
  for (const n of [1, 2]) {
    const image = anInstance(n, { id: `${study}-${n}`, study, modality: 'DX' })
    await documents.insert('studyImages', imageOf(image, ['chest'], clock.now()))
    await documents.insert(
      'studyAnswers',
      answerOf(aPrediction(n, { id: `${study}-p${n}`, instance: image.id, study })),
    )
    await replica.keep(study, state => withImage(state, image, clock.now(), settings))
  }
}
const stateOf = async (study: string) => {
  const state = await documents.get('studyStates', study)
  if (!state) throw new Error(`no state of ${study}`)
  return state
}

it('five replicas that consider the same 40 studies at once write each of them once', async () => {
  const replicas = Array.from({ length: 5 }, () => aReplica())
  const studies = Array.from({ length: 40 }, (_, n) => `st_${String(n).padStart(2, '0')}`)
  await Promise.all(studies.map(study => aWholeStudy(aReplica(), study)))
  await Promise.all(replicas.flatMap(replica => studies.map(async study => replica.consider(await stateOf(study)))))
  expect(await onLog()).toEqual(studies.map(study => `${study} 1`))
  for (const study of studies) expect(await stateOf(study)).toMatchObject({ phase: 'settled' })
})

it.each([
  ['before it is on the log', false],
  ['after it is on the log', true],
])('a process that dies %s leaves it to another, who writes it just if it is not there', async (_, written) => {
  const died = Promise.withResolvers<void>()
  const dies = aReplica(async (__, append) => {
    if (written) await append()
    died.resolve()
    await new Promise(() => undefined)
  })
  await aWholeStudy(dies, 'st_1')
  void dies.consider(await stateOf('st_1'))
  await died.promise
  const was = await stateOf('st_1')
  expect(was.phase).toBe('writing')

  const other = aReplica()
  await other.considerDue(was)
  expect(await onLog()).toHaveLength(written ? 1 : 0)
  clock.move(leaseMs)
  await other.considerDue(was)
  expect(await onLog()).toEqual(['st_1 1'])
  expect(await stateOf('st_1')).toMatchObject({ phase: 'settled', assessed: was.assessed })
})

it('an append that failed, though it is on the log, is not made again; the next look need not wait for the lease', async () => {
  const unlucky = aReplica(async (_, append) => {
    await append()
    throw new RaylogError('log-unavailable', 'no answer in time')
  })
  await aWholeStudy(unlucky, 'st_1')
  await expect(unlucky.consider(await stateOf('st_1'))).rejects.toMatchObject({ code: 'log-unavailable' })
  await aReplica().considerDue(await stateOf('st_1'))
  expect(await onLog()).toEqual(['st_1 1'])
  expect((await stateOf('st_1')).phase).toBe('settled')
})

it('an image that comes while its study is being written is of the next revision', async () => {
  const late = anInstance(3, { id: 'st_1-3', study: 'st_1', modality: 'DX' })
  const other = aReplica()
  const slow = aReplica(async (event, append) => {
    if (event.revision === 1) {
      await documents.insert('studyImages', imageOf(late, [], clock.now()))
      await other.consider(
        await other.keep('st_1', state => withImage(state, { ...late, priority: 'stat' }, clock.now(), settings)),
      )
    }
    await append()
  })
  await aWholeStudy(slow, 'st_1')
  await slow.consider(await stateOf('st_1'))
  expect(await stateOf('st_1')).toMatchObject({ phase: 'gathering', priority: 'stat', assessed: { instances: 2 } })
  clock.move(60_000)
  await other.considerDue(await stateOf('st_1'))
  expect(await onLog()).toEqual(['st_1 1', 'st_1 2'])
  expect((await stateOf('st_1')).assessed).toMatchObject({ instances: 3, changes: { images: ['st_1-3'] } })
})

it('a process that stood still for longer than its lease writes nothing', async () => {
  const frozen = Promise.withResolvers<void>()
  const reached = Promise.withResolvers<void>()
  const slowDocuments: SqliteDocuments = {
    ...documents,
    async advance(collection, doc) {
      const done = await documents.advance(collection, doc)
      if ('phase' in doc && doc.phase === 'writing' && done) {
        reached.resolve()
        await frozen.promise
      }
      return done
    },
  }
  const normal = documents
  documents = slowDocuments
  const still = aReplica()
  documents = normal
  await aWholeStudy(aReplica(), 'st_1')
  const considering = still.consider(await stateOf('st_1'))
  await reached.promise
  clock.move(leaseMs)
  await aReplica().considerDue(await stateOf('st_1'))
  expect(await onLog()).toEqual(['st_1 1'])
  frozen.resolve()
  await considering
  expect(await onLog()).toEqual(['st_1 1'])
})
