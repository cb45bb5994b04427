/** Records that nobody can read, in the middle of a partition on Kafka, through the real stages: parked, and their neighbours go on. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createCodec } from '../../../kafka/codec.ts'
import type { KafkaLog } from '../../../kafka/kafkajs/log.ts'
import type { LogRecord, Position } from '../../../kafka/log.ts'
import { type Instance, topics } from '../../../schemas/topics.ts'
import { census, isIdle, listAll } from '../../harness/census.ts'
import type { Raylog } from '../../harness/raylog.ts'
import { uploadDigits } from '../../harness/senders.ts'
import { until } from '../../harness/until.ts'
import { openLog } from '../kafka-kit.ts'
import { startProcesses } from './processes.ts'
import { startServices } from './services.ts'

const open = new AsyncDisposableStack()
let raylog: Raylog
let log: KafkaLog

beforeAll(async () => {
  const services = open.use(await startServices())
  const stages = ['gateway', 'upload', 'infer', 'persist', 'report', 'notify']
  const processes = open.use(await startProcesses(services, { all: stages }, { set: ['logLevel=warn'] }))
  raylog = processes.of.all
  log = await openLog(services.kafka, { registry: { url: services.registry.url, auth: null } })
  open.defer(() => log.close())
}, 600_000)
afterAll(() => open.disposeAsync())

/** The record that an upload made. */
async function uploaded(): Promise<LogRecord> {
  await uploadDigits(raylog, [1])
  const info = (await log.topics()).find(({ name }) => name === topics.instances.name)
  const bound = info?.bounds.find(({ high }) => high > 0)
  const [record] = await log.read({ topic: topics.instances.name, partition: bound?.partition ?? -1, offset: 0 }, 1)
  if (!record) throw new Error('the upload is not on the log')
  return record
}

/** The same image under another name, so that it has results of its own. */
const neighbour = (instance: Instance, n: number): Instance => ({
  ...instance,
  id: `in_${String(n).padStart(32, '0')}`,
})

interface ParkedDoc {
  id: string
  stage: string
  code: string
  partition: number
  offset: number
}

describe('between two images of one partition', { timeout: 300_000 }, () => {
  it('bytes that are no event, and an event of a schema that nobody knows, park; the images go on', async () => {
    const record = await uploaded()
    const codec = createCodec(log)
    const instance = await codec.decode(topics.instances, record)
    const good = await Promise.all([1, 2].map(n => codec.encode(topics.instances, neighbour(instance, n))))
    const unknownSchema = Buffer.concat([Buffer.from([0, 0x7f, 0xff, 0xff, 0xf0]), record.value.subarray(5)])
    const cutShort = record.value.subarray(0, 30)
    const values = [good[0], Buffer.from('not an event'), unknownSchema, cutShort, good[1]]
    const at: Position[] = await log.append(
      values.map(value => ({ topic: topics.instances.name, key: record.key, value: value ?? Buffer.alloc(0) })),
    )
    expect(new Set(at.map(({ partition }) => partition)).size).toBe(1)

    const parked = await until('they are parked', async () => {
      const all = await listAll<ParkedDoc>(raylog, 'parked?state=parked')
      return all.length >= 6 ? all : undefined
    })
    // By each stage that reads the topic, and each where it stands.
    const where = parked.map(({ stage, partition, offset, code }) => `${stage} ${partition}/${offset} ${code}`)
    const bad = at.slice(1, 4).map(({ partition, offset }) => `${partition}/${offset}`)
    expect(where.sort()).toEqual(
      ['infer', 'persist'].flatMap(stage => bad.map(place => `${stage} ${place} bad-record`)).sort(),
    )
    await until('every stage is idle', () => isIdle(raylog), { deadlineMs: 120_000 })
    const { instances, predictions, reports } = await census(raylog)
    const ids = [instance.id, neighbour(instance, 1).id, neighbour(instance, 2).id].sort()
    expect(instances.map(({ id }) => id).sort()).toEqual(ids)
    expect(predictions.map(one => one.instance).sort()).toEqual(ids)
    expect(reports).toHaveLength(3)
  })
})
