/**
 * Nothing acknowledged is lost, in distributed mode: each stage in a process of its own, while at random each process is
 * SIGKILLed and started again, the brokers are killed and frozen, and MongoDB, S3 and the registry are killed, silent and cut off.
 * RAYLOG_KILL_INSTANCES=10000 is the full size (each outage a minute, or RAYLOG_KILL_OUTAGE_MS); KILL_SEED repeats a run's
 * moments, and is printed.
 */
import { mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { digitPng } from '../../../producers/simulator/phantoms.ts'
import { between, seeded } from '../../../producers/simulator/random.ts'
import { topics } from '../../../schemas/topics.ts'
import { range } from '../../contract/log-kit.ts'
import { type Census, census, isIdle } from '../../harness/census.ts'
import { storeAll } from '../../harness/cstore.ts'
import type { Raylog } from '../../harness/raylog.ts'
import { smallRadiograph, uploadDigits } from '../../harness/senders.ts'
import { until } from '../../harness/until.ts'
import { inSync, openLog, seconds } from '../kafka-kit.ts'
import { startProxy } from '../tcp-proxy.ts'
import { type Fault, frozen, killed, offline, openGate, shuffled, watchOver } from './faults.ts'
import { apart, type Processes, startProcesses } from './processes.ts'
import { type Receiver, startReceiver } from './receiver.ts'
import { type Services, startServices } from './services.ts'

const full = process.env.RAYLOG_KILL_INSTANCES !== undefined
const instances = Number(process.env.RAYLOG_KILL_INSTANCES ?? 360)
const seed = Number(process.env.KILL_SEED ?? Date.now() % 1_000_000)
const outageMs = Number(process.env.RAYLOG_KILL_OUTAGE_MS ?? (full ? 60_000 : 3_000))
const batchSize = 20
/** Longer than the session timeout of 6 s. */
const frozenMs = 8_000

type Apart = Processes<keyof typeof apart>

/** No study is complete meanwhile: assessing them under kills has a test of its own (studies.services.test.ts). */
const open = ['assess-study.idleMs={DX: 86400000}', 'assess-study.plainIdleMs=86400000']

interface Sending {
  chests: string[]
  uploads: string[]
  files: number
  repeated: number
  /** Until a batch of 20 was acknowledged, ms. */
  longestMs: number
}

/** Half of them over DICOM, half by HTTP, and a few into the folder; each until it is acknowledged. */
async function sendAll({ intake, gateway }: Apart['of'], gate: ReturnType<typeof openGate>, receiver: Receiver) {
  const sending: Sending = { chests: [], uploads: [], files: Math.ceil(instances / 50), repeated: 0, longestMs: 0 }
  const uploads = Math.floor(instances / 2)
  const chests = instances - uploads - sending.files
  const batches = (count: number) =>
    range(0, Math.ceil(count / batchSize)).map(at => range(at * batchSize, Math.min(count, (at + 1) * batchSize)))

  async function inBatches(left: number[][], send: (batch: number[]) => Promise<{ repeated: number }>): Promise<void> {
    for (let batch = left.shift(); batch; batch = left.shift()) {
      await gate.enter(batch.length)
      const began = Date.now()
      sending.repeated += (await send(batch)).repeated
      sending.longestMs = Math.max(sending.longestMs, Date.now() - began)
      receiver.expect(batch.length)
    }
  }
  async function overDicom(batch: number[]) {
    const sent = await storeAll(intake.dicomPort, batch.map(smallRadiograph))
    sending.chests.push(...sent.acknowledged)
    return sent
  }
  async function overHttp(batch: number[]) {
    const sent = await uploadDigits(gateway, batch)
    sending.uploads.push(...sent.acknowledged)
    return sent
  }
  const folder = join(intake.inbox, 'digits')
  async function intoFolder(batch: number[]) {
    mkdirSync(folder, { recursive: true })
    for (const n of batch) {
      const aside = join(intake.data, `${n}.png`)
      writeFileSync(aside, await digitPng(1_000_000 + n, n % 10))
      renameSync(aside, join(folder, `${n}.png`))
    }
    return { repeated: 0 }
  }
  const uploading = batches(uploads)
  await Promise.all([
    inBatches(batches(chests), overDicom),
    ...range(0, 4).map(() => inBatches(uploading, overHttp)),
    inBatches(batches(sending.files), intoFolder),
  ])
  await until('the folder is empty', () => readdirSync(folder).length === 0, { deadlineMs: 300_000 })
  return sending
}

/** One fault after the other; each lets its share of the images in, and the next waits until they are sent. */
async function strike(
  faults: readonly Fault[],
  gate: ReturnType<typeof openGate>,
  random: () => number,
  settled: () => Promise<unknown>,
): Promise<void> {
  for (const [at, fault] of faults.entries()) {
    gate.open((at + 1) / (faults.length + 1))
    await wait(between(random, 500, 2_500))
    const began = Date.now()
    await fault.begin()
    await wait(fault.ms)
    await fault.end()
    await settled()
    await until(`images are sent again after: ${fault.name}`, () => gate.isPassed(batchSize), { deadlineMs: 600_000 })
    if (full) console.log(`${fault.name}: ${seconds(Date.now() - began)} until images are sent again`)
  }
  gate.open(1)
}

/** How often a record was put on the log again, by topic. */
async function doubles({ kafka }: Services, all: Census): Promise<Record<string, number>> {
  const log = await openLog(kafka)
  try {
    const infos = await log.topics()
    const kept = (topic: { name: string }) =>
      (infos.find(({ name }) => name === topic.name)?.bounds ?? []).reduce((sum, { low, high }) => sum + high - low, 0)
    return {
      instances: kept(topics.instances) - all.instances.length,
      predictions: kept(topics.predictions) - all.predictions.length,
      reports: kept(topics.reports) - all.reports.length,
    }
  } finally {
    await log.close()
  }
}

async function lags(raylog: Raylog): Promise<string> {
  const { items } = await raylog.json<{ items: { stage: string; topic: string; lag: number }[] }>(
    '/api/v1/monitoring/lag',
  )
  return items.map(({ stage, topic, lag }) => `${stage} ${topic} ${lag}`).join(', ')
}

/** Each acknowledged image is there once, with one prediction of one model, one report, and one webhook. */
function nothingLostOrDoubled(all: Census, sending: Sending, receiver: Receiver): void {
  expect(all.parked).toEqual([])
  const bySop = new Map(all.instances.flatMap(({ id, dicom }) => (dicom ? [[dicom.sopInstance, id]] : [])))
  const acknowledged = [...sending.chests.map(sop => bySop.get(sop) ?? `lost: ${sop}`), ...sending.uploads]
  expect(new Set(acknowledged).size).toBe(instances - sending.files)
  const ids = all.instances.map(({ id }) => id)
  expect(new Set(ids).size).toBe(instances)
  expect(ids).toHaveLength(instances)
  expect(acknowledged.filter(id => !ids.includes(id))).toEqual([])
  expect(all.predictions.map(({ instance }) => instance).sort()).toEqual(ids.toSorted())
  const predictions = all.predictions.map(({ id }) => id).sort()
  expect(all.reports.map(({ prediction }) => prediction).sort()).toEqual(predictions)
  const calls = [...receiver.calls.values()]
  expect(calls.map(({ prediction }) => prediction).sort()).toEqual(predictions)
  // A call that a crash repeats says so.
  expect(calls.filter(({ first }) => first > 1)).toEqual([])
}

async function run(services: Services, faults: readonly Fault[], settled: () => Promise<unknown>): Promise<void> {
  const random = seeded(seed)
  await using receiver = await startReceiver()
  const set = [`notify.webhooks=[{url: "${receiver.url}", secret: "a-secret-of-the-test"}]`, 'logLevel=warn', ...open]
  await using processes = await startProcesses(services, apart, { set })
  await using watch = watchOver(processes.of)
  const { gateway } = processes.of
  const gate = openGate(instances)
  const began = Date.now()
  let over = false
  const [sending] = await Promise.all([
    sendAll(processes.of, gate, receiver),
    strike(shuffled(faults, random), gate, random, settled).finally(() => {
      over = true
    }),
    watch.killAtRandom(random, full ? [4_000, 20_000] : [1_000, 5_000], () => over),
  ])
  const idle = () => isIdle(gateway).catch(() => false)
  await until('every stage is idle', idle, { deadlineMs: full ? 1_800_000 : 180_000, everyMs: 500 }).catch(
    async error => {
      throw new Error(`${error instanceof Error ? error.message : error}: ${await lags(gateway)}`)
    },
  )
  const took = Date.now() - began
  const all = await census(gateway)
  const again = [...receiver.calls.values()].reduce((sum, call) => sum + call.again, 0)
  const kills = watch.mortals.map(({ name, kills }) => `${name} ${kills}`).join(', ')
  const { instances: sent, predictions, reports } = await doubles(services, all)
  console.log(
    `seed ${seed}: ${instances} images in ${seconds(took)}; killed: ${kills}; services: ${faults.map(({ name }) => name).join(', ')}; ` +
      `sent again ${sending.repeated}, on the log twice: ${sent} images, ${predictions} predictions, ${reports} reports; ` +
      `webhooks again and marked ${again}; longest without a result ${seconds(receiver.longestGapMs())}, ` +
      `until 20 were acknowledged ${seconds(sending.longestMs)}`,
  )
  expect(watch.endedAlone).toEqual([])
  nothingLostOrDoubled(all, sending, receiver)
  const objects = all.instances.filter((_, at) => at % Math.ceil(instances / 50) === 0)
  for (const { id } of objects) expect((await gateway.get(`/api/v1/instances/${id}/object`)).status).toBe(200)
  const { totals } = await gateway.json<{ totals: Record<string, number> }>('/api/v1/stats')
  expect(totals).toMatchObject({ instances, predictions: instances, reports: instances, deliveries: instances })
  await watch.end()
  expect(await Promise.all(processes.all.map(one => one.stop()))).toEqual(processes.all.map(() => 0))
}

const timeout = full ? 3 * 3_600_000 : 900_000

describe('a distributed Raylog', { timeout }, () => {
  it('loses nothing and does nothing twice while its processes, its only broker and its stores come and go', async () => {
    const proxies: Awaited<ReturnType<typeof startProxy>>[] = []
    await using closing = new AsyncDisposableStack()
    await using services = await startServices({
      async through({ registry, mongo, s3 }) {
        for (const { port } of [registry, mongo, s3]) proxies.push(closing.use(await startProxy(port)))
        const [toRegistry, toMongo, toS3] = proxies.map(({ port }) => port)
        return {
          registryUrl: registry.url.replace(String(registry.port), String(toRegistry)),
          mongoUrl: `mongodb://127.0.0.1:${toMongo}`,
          s3Url: `http://127.0.0.1:${toS3}`,
        }
      },
    })
    const [broker] = services.kafka.nodes
    if (!broker) throw new Error('there is no broker')
    const names = ['registry', 'MongoDB', 'S3']
    const faults = [
      killed('broker', broker, outageMs / 3),
      frozen('broker', broker, frozenMs),
      killed('registry', services.registry.server, outageMs / 3),
      killed('S3', services.s3.server, outageMs / 3),
      ...proxies.flatMap((proxy, at) => offline(names[at] ?? '', proxy, outageMs)),
    ]
    await run(services, faults, async () => undefined)
  })

  it('loses nothing and does nothing twice while its processes and each of three brokers come and go', async () => {
    await using services = await startServices({ nodes: 3 })
    const { nodes, brokers } = services.kafka
    const faults = nodes.flatMap((node, at) => [
      killed(`broker ${at + 1}`, node, outageMs / 3),
      ...(full ? [frozen(`broker ${at + 1}`, node, frozenMs)] : []),
    ])
    // Two at once would be more than three copies are for.
    await run(services, faults, () => inSync(brokers, topics.instances.name, 3))
  })
})
