/** The stage under the real runner, on a real log and real documents; the clock is moved by hand. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createCodec } from '../../kafka/codec.ts'
import { compile } from '../../kafka/compile.ts'
import { type EmbeddedLog, openEmbeddedLog } from '../../kafka/embedded/log.ts'
import type { Ports } from '../../kafka/ports.ts'
import { type Running, run } from '../../kafka/runner.ts'
import { createMetrics } from '../../monitoring/metrics.ts'
import { ids } from '../../schemas/ids.ts'
import { reportEquipment } from '../../schemas/own-report.ts'
import { allTopics, type EventOf, type Instance, type StudyAssessed, type Topic, topics } from '../../schemas/topics.ts'
import { openSqliteDocuments, type SqliteDocuments } from '../../storage/sqlite-documents.ts'
import { anInstance, aParked, aPrediction, chest, chestModel } from '../../tests/gateway/samples.ts'
import { HandClock } from '../../tests/harness/hand-clock.ts'
import { until } from '../../tests/harness/until.ts'
import { assessStudy } from './stage.ts'

let folder: string
let clock: HandClock
let log: EmbeddedLog
let documents: SqliteDocuments
let ports: Ports
let running: Running | undefined
const metrics = createMetrics()

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'raylog-studies-'))
  clock = new HandClock()
  log = await openEmbeddedLog({ folder: join(folder, 'log'), trimEveryMs: null, clock })
  documents = await openSqliteDocuments({ folder: join(folder, 'documents') })
  await log.ensureTopics(
    allTopics.map(({ name, partitions }) => ({ name, partitions, retention: { maxAgeMs: null, maxBytes: null } })),
  )
  // The runner and this stage use no others.
  ports = { log, codec: createCodec(log), documents, models: chest([chestModel()]), metrics } as unknown as Ports
})
afterEach(async () => {
  await stop()
  await log.close()
  await documents.close()
  await rm(folder, { recursive: true })
})

async function start(settings: object = {}): Promise<void> {
  const plan = compile([assessStudy], { 'assess-study': settings })
  const network = { peers: [], dicomTls: null }
  const platform = { site: 'main', clock, logger: pino({ level: 'silent' }), dataFolder: folder, network }
  running = await run(plan, ports, { ...platform, showNames: false, researchUseOnly: true })
}
async function stop(): Promise<void> {
  await running?.stop()
  running = undefined
}

async function append<T extends Topic>(topic: T, ...events: EventOf<T>[]): Promise<void> {
  const keyOf = (event: object) => String(Object.entries(event).find(([name]) => name === topic.keyField)?.[1])
  await log.append(
    await Promise.all(
      events.map(async event => ({
        topic: topic.name,
        key: keyOf(event),
        value: await ports.codec.encode(topic, event),
      })),
    ),
  )
}

/** Every assessment on the log, as it is there. */
async function assessed(): Promise<StudyAssessed[]> {
  const all: StudyAssessed[] = []
  for (let partition = 0; partition < topics.studies.partitions; partition++) {
    const records = await log.read({ topic: topics.studies.name, partition, offset: 0 }, 1000)
    for (const record of records) all.push(await ports.codec.decode(topics.studies, record))
  }
  return all.toSorted((a, b) => (a.study === b.study ? a.revision - b.revision : a.study < b.study ? -1 : 1))
}

/** Time goes on in small steps until so many are there. */
async function assessments(count: number): Promise<StudyAssessed[]> {
  return await until(`${count} assessments`, async () => {
    clock.move(50)
    const all = await assessed()
    return all.length >= count ? all : undefined
  })
}
const last = async (count: number): Promise<StudyAssessed> => {
  const one = (await assessments(count)).at(-1)
  if (!one) throw new Error('nothing was assessed')
  return one
}

/** Everything on the log is handled and committed. */
const read = () =>
  until('all is read', async () => {
    const lags = await log.lag('assess-study')
    return lags.length > 0 && lags.every(({ lag }) => lag === 0) && running?.pending()['assess-study'] === 0
  })

const study = 'st_1'
const series = (n: number) => ({
  sopClass: '1',
  sopInstance: `1.2.${n}`,
  series: n < 10 ? '1.2.3.1' : '1.2.3.2',
  study: '1.2.3',
  transferSyntax: '1',
})
const image = (n: number, over: Partial<Instance> = {}) =>
  anInstance(n, { study, modality: 'DX', dicom: series(n), receivedAt: clock.now(), ...over })
const answer = (n: number, over: Parameters<typeof aPrediction>[1] = {}) =>
  aPrediction(n, { study, predictedAt: clock.now(), label: 'normal', ...over })
const sick = { label: 'pneumonia', score: 0.9, probabilities: { normal: 0.1, pneumonia: 0.9 } }

/** Moves on by a part of the time after which a study is idle, and lets the stage look. */
async function quiet(ms: number): Promise<void> {
  for (let moved = 0; moved < ms; moved += 500) {
    clock.move(Math.min(500, ms - moved))
    await new Promise(resolve => setImmediate(resolve))
  }
  await documents.count('studyStates')
}

describe('a study is complete', () => {
  it('when nothing came for the time of its modality, and not before', async () => {
    await start({ idleMs: { DX: 10_000 } })
    await append(topics.instances, image(1))
    await append(topics.predictions, answer(1))
    await read()
    await quiet(6_000)
    await append(topics.instances, image(2))
    await append(topics.predictions, answer(2, sick))
    await read()
    await quiet(8_000)
    expect(await assessed()).toEqual([])
    expect(await last(1)).toMatchObject({
      ...{ id: ids.studyRevision(study, 1), study, site: 'main', revision: 1, series: 1, instances: 2 },
      ...{ completedBy: 'idle', expected: null, missing: [], changes: null, priority: 'routine' },
      images: ['in_0001', 'in_0002'],
      findings: [{ model: 'chest@1.0.0', label: 'pneumonia', present: true, score: 0.9, instances: ['in_0002'] }],
    })
  })

  it('with as many images as the modality said, at once', async () => {
    await start()
    await append(topics.instances, image(1, { studyInstances: 3 }), image(2, { studyInstances: 3 }))
    await append(topics.predictions, answer(1), answer(2), answer(3))
    await read()
    expect(await assessed()).toEqual([])
    await append(topics.instances, image(3, { studyInstances: 3 }))
    const expected = { images: 3, source: 'modality' }
    expect(await last(1)).toMatchObject({ completedBy: 'expected_count', expected, instances: 3 })
  })

  it('with as many as an order said, even if it said so first', async () => {
    const request = { id: 'rq_1', study, what: 'expect' as const, images: 2, source: 'order', revision: null, at: 1 }
    await start()
    await append(topics.requests, { ...request, actor: 'ris' })
    await read()
    await append(topics.instances, image(1), image(2))
    await append(topics.predictions, answer(1), answer(2))
    expect(await last(1)).toMatchObject({ completedBy: 'expected_count', expected: { images: 2, source: 'order' } })
  })

  it('when a person says so, and the event says who', async () => {
    const request = { id: 'rq_1', study, what: 'complete' as const, images: null, source: null, revision: null, at: 1 }
    await start()
    await append(topics.instances, image(1))
    await append(topics.predictions, answer(1))
    await read()
    await append(topics.requests, { ...request, actor: 'dr' })
    expect(await last(1)).toMatchObject({ completedBy: 'forced', actor: 'dr', instances: 1 })
  })

  it('when a rule says so', async () => {
    await start({
      rules: [
        { modalities: ['CT'], images: 1 },
        { modalities: ['DX'], images: 2 },
      ],
    })
    await append(topics.instances, image(1))
    await append(topics.predictions, answer(1), answer(2))
    await read()
    expect(await assessed()).toEqual([])
    await append(topics.instances, image(2))
    expect(await last(1)).toMatchObject({ completedBy: 'rule', instances: 2 })
  })

  it('not while its next image is on the log and was not read: the stage was away for longer than the idle time', async () => {
    await start({ idleMs: { DX: 5_000 } })
    await append(topics.instances, image(1))
    await append(topics.predictions, answer(1))
    await read()
    await stop()
    clock.move(3_000)
    await append(topics.instances, ...[2, 3, 4, 5].map(n => image(n)))
    await append(topics.predictions, ...[2, 3, 4, 5].map(n => answer(n)))
    clock.move(3_600_000)
    await start({ idleMs: { DX: 5_000 } })
    expect(await last(1)).toMatchObject({ revision: 1, instances: 5, completedBy: 'idle' })
  })
})

describe('an assessment', () => {
  const forced = { rules: [{ images: 2 }], answersMs: 60_000 }

  it('waits for what models are to say, and names what did not come within the time', async () => {
    await start(forced)
    await append(topics.instances, image(1), image(2))
    await append(topics.predictions, answer(1))
    await read()
    await quiet(50_000)
    expect(await assessed()).toEqual([])
    expect(await last(1)).toMatchObject({ missing: [{ instance: 'in_0002', model: 'chest', code: null }] })
  })

  it('does not wait for an image that was given up, and says why it is missing', async () => {
    await start(forced)
    await append(topics.instances, image(1), image(2))
    await append(topics.predictions, answer(1))
    await read()
    const { state: _, value: __, ...parked } = aParked(2)
    await append(topics.parked, { ...parked, key: study, value: Buffer.alloc(0) })
    expect(await last(1)).toMatchObject({ missing: [{ instance: 'in_0002', model: 'chest', code: 'decode-failed' }] })
    expect(clock.now() - Date.UTC(2026, 0, 1)).toBeLessThan(60_000)
  })

  it('does not take what replays and shadows say for an answer', async () => {
    await start(forced)
    await append(topics.instances, image(1), image(2))
    await append(topics.predictions, answer(1), answer(2, { ...sick, role: 'shadow', id: 'a' }))
    await append(topics.predictions, answer(2, { ...sick, role: 'replay', replay: 'rr', id: 'b' }))
    await read()
    expect(await assessed()).toEqual([])
    await append(topics.predictions, answer(2))
    expect(await last(1)).toMatchObject({ missing: [], findings: [{ present: false, positive: 0, analysed: 2 }] })
  })

  it('is as urgent as the order or the gravest finding', async () => {
    await start({ ...forced, findings: [{ models: ['chest'], priority: 'urgent' }] })
    await append(topics.instances, image(1), image(2))
    await append(topics.predictions, answer(1, sick), answer(2))
    expect(await last(1)).toMatchObject({ priority: 'urgent' })
    const other = { study: 'st_2', priority: 'stat' as const }
    await append(topics.instances, image(3, other), image(4, { study: 'st_2' }))
    await append(topics.predictions, answer(3, { study: 'st_2' }), answer(4, { study: 'st_2' }))
    expect(await last(2)).toMatchObject({ study: 'st_2', priority: 'stat' })
  })
})

describe('a revision', () => {
  async function first(): Promise<void> {
    await start({ rules: [{ images: 2 }], idleMs: { DX: 10_000 }, lateMs: 2_000 })
    await append(topics.instances, image(1), image(2))
    await append(topics.predictions, answer(1), answer(2))
    await assessments(1)
  }

  it('says which images came late, and what they changed', async () => {
    await first()
    await append(topics.instances, image(11), image(12))
    await append(topics.predictions, answer(11, sick), answer(12))
    expect(await last(2)).toMatchObject({
      ...{ id: ids.studyRevision(study, 2), revision: 2, instances: 4, series: 2, completedBy: 'idle' },
      changes: {
        images: ['in_0011', 'in_0012'],
        series: ['1.2.3.2'],
        findings: [{ model: 'chest', label: 'pneumonia', group: null, before: false, after: true }],
      },
    })
  })

  it('is made of a correction, and not of agreement', async () => {
    await first()
    const said = { study, instance: 'in_0001', prediction: 'pr_0001', actor: 'dr' }
    await append(topics.feedback, { ...said, id: 'fb_1', verdict: 'agreed', label: null, at: clock.now() })
    await read()
    await quiet(20_000)
    expect(await assessed()).toHaveLength(1)
    await append(topics.feedback, { ...said, id: 'fb_1', verdict: 'corrected', label: 'pneumonia', at: clock.now() })
    expect(await last(2)).toMatchObject({
      revision: 2,
      findings: [{ present: true, positive: 1, corrected: 1, instances: ['in_0001'] }],
      changes: { images: [], series: [], findings: [{ before: false, after: true }] },
    })
  })

  it('is made of an answer that came after it was given up', async () => {
    await start({ rules: [{ images: 2 }], answersMs: 5_000, lateMs: 1_000 })
    await append(topics.instances, image(1), image(2))
    await append(topics.predictions, answer(1))
    expect(await last(1)).toMatchObject({ missing: [{ instance: 'in_0002' }] })
    await append(topics.predictions, answer(2, sick))
    expect(await last(2)).toMatchObject({
      revision: 2,
      missing: [],
      changes: { images: [], findings: [{ after: true }] },
    })
  })

  it('is not made of the reports that it led to, when the PACS sends them back', async () => {
    await first()
    await append(topics.instances, { ...image(11), equipment: { ...reportEquipment, station: null } })
    await read()
    await quiet(60_000)
    expect(await assessed()).toHaveLength(1)
  })

  it('is not made of events that come again', async () => {
    await first()
    await append(topics.instances, image(11))
    await append(topics.predictions, answer(11))
    const was = await assessments(2)
    await stop()
    for (const { topic, partition } of await log.lag('assess-study'))
      await log.seek('assess-study', [{ topic, partition, offset: 0 }])
    await start({ rules: [{ images: 2 }], idleMs: { DX: 10_000 } })
    await read()
    await quiet(60_000)
    expect(await assessed()).toEqual(was)
  })
})

describe('where the documents are new and the log is not', () => {
  const settings = { rules: [{ images: 2 }], idleMs: { DX: 10_000 }, lateMs: 1_000 }
  const other = { study: 'st_2' }
  const corrected = { id: 'fb_1', study, instance: 'in_0001', prediction: 'pr_0001', actor: 'dr' }

  /** Two revisions of one study, the second for a correction; and half of another study. */
  async function history(): Promise<StudyAssessed[]> {
    await start(settings)
    await append(topics.instances, image(1), image(2))
    await append(topics.predictions, answer(1), answer(2))
    await assessments(1)
    await append(topics.feedback, { ...corrected, verdict: 'corrected', label: 'pneumonia', at: clock.now() })
    const was = await assessments(2)
    await append(topics.instances, image(3, other))
    await append(topics.predictions, answer(3, other))
    await read()
    await stop()
    return was
  }

  /** As after a move to other stores, where the stage reads all of the log again. */
  async function moved(): Promise<void> {
    await documents.close()
    documents = await openSqliteDocuments({ folder: join(folder, 'other documents') })
    ports = { ...ports, documents }
    for (const { topic, partition } of await log.lag('assess-study'))
      await log.seek('assess-study', [{ topic, partition, offset: 0 }])
  }

  it('says nothing again, forgets no study that was under way, and goes on with the revisions', async () => {
    const was = await history()
    await moved()
    await start(settings)
    expect(await last(3)).toMatchObject({ study: 'st_2', revision: 1, images: ['in_0003'], completedBy: 'idle' })
    await read()
    await quiet(60_000)
    expect((await assessed()).slice(0, 2)).toEqual(was)
    expect(await assessed()).toHaveLength(3)
    await append(topics.instances, image(4))
    await append(topics.predictions, answer(4))
    const third = (await assessments(4)).find(({ revision }) => revision === 3)
    expect(third).toMatchObject({ study, changes: { images: ['in_0004'] }, instances: 3 })
  })

  it('says nothing while it has not read what it said itself', async () => {
    const was = await history()
    await moved()
    // A partition of its own: held back as long as it likes, while the images are read.
    const released = Promise.withResolvers<void>()
    const codec = ports.codec
    const slow: typeof codec = {
      ...codec,
      async decode(topic, record) {
        if (topic.name === topics.studies.name) await released.promise
        return codec.decode(topic, record)
      },
    }
    ports = { ...ports, codec: slow }
    await start(settings)
    await until('the images are read', async () => (await documents.count('studyAnswers')) === 3)
    await quiet(120_000)
    ports = { ...ports, codec }
    expect(await assessed()).toEqual(was)
    released.resolve()
    expect(await last(3)).toMatchObject({ study: 'st_2', revision: 1 })
  })
})
