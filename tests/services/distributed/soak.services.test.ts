/**
 * A day's load in minutes: small events through every process, whose memory must stay flat; one in a hundred is a digit that is
 * uploaded, inferred, reported and announced. RAYLOG_SOAK_EVENTS=200000 is the full size. What is flat: what is left after a full
 * collection, at the end and when a third of the events were through. What is resident says nothing of it in minutes: V8 collects
 * its old space when it has grown to a few times what is live.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createCodec } from '../../../kafka/codec.ts'
import type { KafkaLog } from '../../../kafka/kafkajs/log.ts'
import type { NewRecord } from '../../../kafka/log.ts'
import type { Codec } from '../../../kafka/ports.ts'
import { topics } from '../../../schemas/topics.ts'
import { range } from '../../contract/log-kit.ts'
import { census, isIdle } from '../../harness/census.ts'
import { residentMbOf, treeOf } from '../../harness/cost.ts'
import { type Held, heldBy, inspectable } from '../../harness/heap.ts'
import type { Raylog } from '../../harness/raylog.ts'
import { type Receiver, startReceiver } from '../../harness/receiver.ts'
import { uploadDigits } from '../../harness/senders.ts'
import { until } from '../../harness/until.ts'
import { openLog } from '../kafka-kit.ts'
import { apart, type Processes, startProcesses } from './processes.ts'
import { type Services, startServices } from './services.ts'

const events = Number(process.env.RAYLOG_SOAK_EVENTS ?? 10_000)
const chunk = 600
const digitsPerChunk = 6
/** The server of MongoDB's protocol keeps everything in memory: ids come again, and are the same documents. */
const differentIds = 3_000
/** Their images come again and again: they are not complete in minutes. */
const stayOpen = 'assess-study.idleMs={CT: 86400000}'

const open = new AsyncDisposableStack()
let services: Services
let receiver: Receiver
let processes: Processes<keyof typeof apart>
let log: KafkaLog
beforeAll(async () => {
  services = open.use(await startServices())
  receiver = open.use(await startReceiver())
  const hook = `notify.webhooks=[{url: "${receiver.url}", secret: "a-secret-of-the-test"}]`
  processes = open.use(
    await startProcesses(services, apart, { set: ['logLevel=warn', stayOpen, hook], nodeFlags: [inspectable] }),
  )
  log = await openLog(services.kafka, { registry: { url: services.registry.url, auth: null } })
  open.defer(() => log.close())
}, 600_000)
afterAll(() => open.disposeAsync())

/** In turn: an image that no model takes, a prediction of a replay, a word of feedback. Every stage reads one of them at least. */
async function eventOf(codec: Codec, n: number): Promise<NewRecord> {
  const id = String(n % differentIds).padStart(32, '0')
  const common = { study: `st_${id}`, site: 'main', modality: 'CT', patient: null, receivedAt: n }
  const key = common.study
  const about = { id: `pr_${id}`, instance: `in_${id}`, replay: 'rp_soak' }
  switch (n % 3) {
    case 0: {
      const object = { key: id, sha256: id, bytes: 1, contentType: 'application/dicom' }
      const value = await codec.encode(topics.instances, {
        ...{ ...common, ...plain, id: about.instance, object, source: { kind: 'other', peer: 'soak' } },
      })
      return { topic: topics.instances.name, key, value }
    }
    case 1: {
      const value = await codec.encode(topics.predictions, { ...common, ...said, ...about, object: id, predictedAt: n })
      return { topic: topics.predictions.name, key, value }
    }
    default: {
      const value = await codec.encode(topics.feedback, {
        ...{ id: `fb_${id}`, study: key, instance: about.instance, prediction: about.id },
        ...{ verdict: 'agreed', label: null, actor: 'soak', at: n },
      })
      return { topic: topics.feedback.name, key, value }
    }
  }
}

const plain = {
  ...{
    dicom: null,
    bodyPart: null,
    view: null,
    laterality: null,
    studyInstances: null,
    deidentified: null,
    rows: 1,
    columns: 1,
    frames: 1,
    photometric: null,
    equipment: null,
  },
  ...{ requested: [], priority: 'routine' as const, acquiredAt: null },
}
const said = {
  model: { name: 'digits', version: '1', digest: '0', runtime: 'onnx' },
  ...{ role: 'replay' as const, label: '7', score: 0.9, threshold: null, confidence: 0.9, probabilities: { 7: 0.9 } },
  ...{ regions: [], explanation: null, quality: [] },
  timings: { queueMs: 0, fetchMs: 0, decodeMs: 0, prepareMs: 0, inferMs: 0, batch: 1 },
}

const announcement = z.object({ data: z.object({ prediction: z.object({ id: z.string() }) }) })

/** Events that stages have not committed. */
async function behind(raylog: Raylog): Promise<number> {
  const { items } = await raylog.json<{ items: { lag: number }[] }>('/api/v1/monitoring/lag')
  return Math.max(0, ...items.map(({ lag }) => lag))
}

/** What the servers take, MB: that of MongoDB's protocol keeps all documents in memory, so nothing is asked of it. */
const ofServices = () =>
  Object.entries({
    Kafka: services.kafka.nodes.map(({ pid }) => pid),
    registry: [services.registry.server.pid],
    documents: [services.mongo.server.pid],
    S3: [services.s3.server.pid],
  }).map(([name, pids]) => `${name} ${residentMbOf(treeOf(pids)).toFixed(0)}`)

type Levels = Map<string, Held>

async function levels(): Promise<Levels> {
  const all: Levels = new Map()
  for (const [name, raylog] of Object.entries(processes.of)) all.set(name, await heldBy(raylog))
  return all
}

/**
 * What may come after a third of the events, MB: caches that fill, buffers of connections; and for each thousand events. So the
 * full size finds what leaks 100 bytes an event, and the short one a kilobyte. Over 200,000 events the live memory of each
 * process was 0 to 2.7 MB less at the end than at a third, and 0.2 MB more in one.
 */
const still = { live: 4, native: 25, perThousand: 0.05 }
/** A thread that draws reports begins when two are to be drawn at once, before a third of the events or after, MB. */
const drawing = 60
const median = (of: readonly number[]) => of.toSorted((a, b) => a - b)[Math.floor(of.length / 2)] ?? 0
const MB = 1e6

describe.skipIf(process.platform !== 'linux')('every process of a distributed Raylog', () => {
  it(`keeps its memory flat over ${events} small events (Linux)`, { timeout: 3_600_000 }, async () => {
    const { gateway } = processes.of
    const codec = createCodec(log)
    const samples = new Map<string, number[]>(Object.keys(processes.of).map(name => [name, []]))
    const began = Date.now()
    const digits: string[] = []
    const servicesBefore = ofServices()
    let warm: Levels = new Map()
    let warmAt = 0
    for (let at = 0; at < events; at += chunk) {
      if (warm.size === 0 && at >= events / 3) {
        await until('every stage is idle', () => isIdle(gateway), { deadlineMs: 300_000, everyMs: 200 })
        warm = await levels()
        warmAt = at
      }
      const numbers = range(at, Math.min(events, at + chunk))
      const first = (at / chunk) * digitsPerChunk
      const [uploaded] = await Promise.all([
        uploadDigits(gateway, range(first, first + digitsPerChunk)),
        Promise.all(numbers.map(n => eventOf(codec, n))).then(records => log.append(records)),
      ])
      digits.push(...uploaded.acknowledged)
      // Never far ahead, so that what is measured is working through them, not having them wait.
      await until('the stages keep up', async () => (await behind(gateway)) < 2_000, { everyMs: 100 })
      for (const [name, raylog] of Object.entries(processes.of))
        samples.get(name)?.push(residentMbOf(treeOf([raylog.pid])))
    }
    await until('every stage is idle', () => isIdle(gateway), { deadlineMs: 300_000, everyMs: 200 })
    const announced = () => receiver.received.length >= digits.length
    await until('each digit is announced', announced, { deadlineMs: 120_000, everyMs: 200 })
    const { predictions, reports, parked } = await census(gateway)
    expect(parked).toEqual([])
    expect(digits.length).toBeGreaterThan(0)
    expect(predictions.map(({ instance }) => instance).sort()).toEqual(digits.toSorted())
    const ids = predictions.map(({ id }) => id).sort()
    expect(reports.map(({ prediction }) => prediction).sort()).toEqual(ids)
    const told = receiver.received.map(({ body }) => announcement.parse(JSON.parse(body)).data.prediction.id)
    expect(told.sort()).toEqual(ids)
    const end = await levels()
    const third = (of: readonly number[], which: number) =>
      median(of.slice(Math.floor((of.length * which) / 3), Math.floor((of.length * (which + 1)) / 3)))
    const resident = [...samples].map(
      ([name, of]) => `${name} ${[0, 1, 2].map(which => third(of, which).toFixed(0)).join(' ')}`,
    )
    const perSecond = events / ((Date.now() - began) / 1_000)
    const held = [...end].map(([name, { live, native }]) => {
      const before = warm.get(name) ?? { live: 0, native: 0 }
      return { name, live: [before.live / MB, live / MB], native: [before.native / MB, native / MB] } as const
    })
    const fromTo = ([from, to]: readonly [number, number]) => `${from.toFixed(1)} to ${to.toFixed(1)}`
    const words = held.map(({ name, live, native }) => `${name} ${fromTo(live)} (native ${fromTo(native)})`)
    console.log(
      `${events} events, ${perSecond.toFixed(0)} a second; MB resident by third of the time: ${resident.join(', ')}; ` +
        `MB live from a third of the events on: ${words.join(', ')}; ${digits.length} digits inferred, reported and announced; ` +
        `MB resident of the servers, before and after: ${servicesBefore.join(', ')}; ${ofServices().join(', ')}`,
    )
    const since = (events - warmAt) / 1_000
    for (const { name, live, native } of held) {
      expect(live[1] - live[0], `${name}, live`).toBeLessThan(still.live + since * still.perThousand)
      const more = name === 'report' ? drawing : 0
      expect(native[1] - native[0], `${name}, native`).toBeLessThan(still.native + more + since * still.perThousand)
    }
  })
})
