/** assess-study under the real runner, on a real log and real documents; the clock is moved by hand. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import { afterEach, beforeEach } from 'vitest'
import { createCodec } from '../../kafka/codec.ts'
import { compile } from '../../kafka/compile.ts'
import { type EmbeddedLog, openEmbeddedLog } from '../../kafka/embedded/log.ts'
import type { Ports } from '../../kafka/ports.ts'
import { type Running, run } from '../../kafka/runner.ts'
import type { AnyStage } from '../../kafka/stage.ts'
import { createMetrics } from '../../monitoring/metrics.ts'
import { assessStudy } from '../../processors/assess-study/stage.ts'
import { platformConfig } from '../../schemas/config.ts'
import { allTopics, type EventOf, type Instance, type StudyAssessed, type Topic, topics } from '../../schemas/topics.ts'
import { openSqliteDocuments, type SqliteDocuments } from '../../storage/sqlite-documents.ts'
import { anInstance, aPrediction, chest, chestModel } from '../gateway/samples.ts'
import { HandClock } from './hand-clock.ts'
import { until } from './until.ts'

export const study = 'st_1'
const series = (n: number) => ({
  sopClass: '1',
  sopInstance: `1.2.${n}`,
  series: n < 10 ? '1.2.3.1' : '1.2.3.2',
  study: '1.2.3',
  transferSyntax: '1',
})
export const sick = { label: 'pneumonia', score: 0.9, probabilities: { normal: 0.1, pneumonia: 0.9 } }

const metrics = createMetrics()

/** Who else is on the log. */
export interface Around {
  stages?: readonly AnyStage[]
  /** By stage. */
  settings?: Record<string, object>
  /** As in raylog.yaml. */
  peers?: readonly object[]
  /** What the other stages need beyond log and documents. */
  ports?: Partial<Ports>
}

/** To be called once in a file: each test has a log and documents of its own. */
export function assessingPerTest() {
  let folder: string
  let clock: HandClock
  let log: EmbeddedLog
  let documents: SqliteDocuments
  let ports: Ports
  let running: Running | undefined

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

  async function start(settings: object = {}, around: Around = {}): Promise<void> {
    const plan = compile([...(around.stages ?? []), assessStudy], { ...around.settings, 'assess-study': settings })
    const { peers, dicomTls } = platformConfig.parse({ peers: around.peers ?? [] })
    const network = { peers, dicomTls }
    ports = { ...ports, ...around.ports }
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

  /** Every event of a topic, as it is on the log. */
  async function logged<T extends Topic>(topic: T): Promise<EventOf<T>[]> {
    const all: EventOf<T>[] = []
    for (let partition = 0; partition < topic.partitions; partition++) {
      const records = await log.read({ topic: topic.name, partition, offset: 0 }, 1000)
      for (const record of records) all.push(await ports.codec.decode(topic, record))
    }
    return all
  }

  async function assessed(): Promise<StudyAssessed[]> {
    const all = await logged(topics.studies)
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

  /** Everything on the log is handled and committed, by every stage. */
  const read = () =>
    until('all is read', async () => {
      const pending = Object.entries(running?.pending() ?? {})
      const lags = await Promise.all(pending.map(([stage]) => log.lag(stage)))
      const through = lags.every(all => all.length > 0 && all.every(({ lag }) => lag === 0))
      return pending.length > 0 && pending.every(([, count]) => count === 0) && through
    })

  /** All of the log is to be read again. */
  async function again(): Promise<void> {
    for (const { topic, partition } of await log.lag('assess-study'))
      await log.seek('assess-study', [{ topic, partition, offset: 0 }])
  }

  /** As after a move to other stores, where the stage reads all of the log again. */
  async function moved(): Promise<void> {
    await documents.close()
    documents = await openSqliteDocuments({ folder: join(folder, 'other documents') })
    ports = { ...ports, documents }
    await again()
  }

  const image = (n: number, over: Partial<Instance> = {}) =>
    anInstance(n, { study, modality: 'DX', dicom: series(n), receivedAt: clock.now(), ...over })
  const answer = (n: number, over: Parameters<typeof aPrediction>[1] = {}) =>
    aPrediction(n, { study, predictedAt: clock.now(), label: 'normal', ...over })

  /** Moves on by a part of the time after which a study is idle, and lets the stage look. */
  async function quiet(ms: number): Promise<void> {
    for (let moved = 0; moved < ms; moved += 500) {
      clock.move(Math.min(500, ms - moved))
      await new Promise(resolve => setImmediate(resolve))
    }
    await documents.count('studyStates')
  }

  return {
    ...{ start, stop, append, logged, assessed, assessments, last, read, again, moved, image, answer, quiet },
    get clock() {
      return clock
    },
    get documents() {
      return documents
    },
    get codec() {
      return ports.codec
    },
    /** Of the stage from its next start on, and of what is read here. */
    set codec(codec: Ports['codec']) {
      ports = { ...ports, codec }
    },
  }
}
