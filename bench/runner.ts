/**
 * The runner's own ceiling: events a second through a stage whose handler does nothing (read, decode, schedule, commit), on
 * Kafka and on the embedded log, beside the bare client of each: a kafkajs consumer, and EventLog.read in a loop; and beside
 * the same with each record decoded, which a stage cannot do without. In turns. The clock runs from the first record to the last:
 * connecting, joining a group and opening a stage are not in it, and there are so many that it runs for seconds.
 *
 *   node bench/runner.ts [--events 1000000] [--rounds 3] [--only SQLite|Kafka]
 */
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Kafka, logLevel } from 'kafkajs'
import pino from 'pino'
import { z } from 'zod'
import { openPorts, storesOf } from '../cli/ports.ts'
import { createCodec } from '../kafka/codec.ts'
import { compile, type Plan } from '../kafka/compile.ts'
import type { EventLog } from '../kafka/log.ts'
import type { Platform, Ports } from '../kafka/ports.ts'
import { toRecord } from '../kafka/runner/attempt.ts'
import { run } from '../kafka/runner.ts'
import { defineStage } from '../kafka/stage.ts'
import { instanceOf } from '../models/testing.ts'
import { systemClock } from '../monitoring/clock.ts'
import { topics } from '../schemas/topics.ts'
import { startServices } from '../tests/services/distributed/services.ts'
import { skip } from './distributed/ground.ts'
import { markdown, median, type Row, round } from './table.ts'

const { values: flags } = parseArgs({
  options: {
    events: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string', default: '' },
  },
})
const events = Number(flags.events)
const topic = topics.instances
const surroundings = { logger: pino({ level: 'error' }), clock: systemClock }

/** Counts records as they are read; `perSecond` is of those after the first that came, together with what came with it. */
function counter() {
  const perSecond = Promise.withResolvers<number>()
  let seen = 0
  let first: { at: number; count: number } | undefined
  const add = (count: number) => {
    seen += count
    first ??= { at: performance.now(), count }
    if (seen >= events) perSecond.resolve((seen - first.count) / ((performance.now() - first.at) / 1_000))
  }
  return { add, perSecond: perSecond.promise }
}

/** A stage of a new name is a new group: it reads all there is. */
async function runner(settings: object): Promise<number> {
  const { add, perSecond } = counter()
  const stage = defineStage({
    name: `nothing-${randomUUID()}`,
    role: 'consumer',
    summary: 'does nothing',
    reads: [topic],
    writes: [],
    needs: [],
    config: z.strictObject({}),
    concurrency: () => 256,
    open: async () => ({ handle: () => add(1) }),
  })
  const plan = compile([stage], settings)
  await using opened = await openPorts(plan, surroundings, await storesOf(plan, surroundings))
  return await fed(plan, opened.ports, opened.platform, perSecond)
}

async function fed(plan: Plan, ports: Ports, platform: Platform, perSecond: Promise<number>): Promise<number> {
  await using running = await run(plan, ports, platform)
  return await Promise.race([perSecond, running.stopped.then(() => Number.NaN)])
}

async function fill(log: EventLog): Promise<void> {
  const codec = createCodec(log)
  const object = { key: 'objects/none', sha256: '0'.repeat(64), bytes: 526_336, contentType: 'application/dicom' }
  await log.ensureTopics([
    { name: topic.name, partitions: topic.partitions, retention: { maxAgeMs: null, maxBytes: null } },
  ])
  for (let from = 0; from < events; from += 2_000) {
    const records = Array.from({ length: Math.min(2_000, events - from) }, (_, n) =>
      toRecord(codec, topic, instanceOf(object, { id: `in_${from + n}`, study: `st_${(from + n) % 997}` })),
    )
    await log.append(await Promise.all(records))
  }
}

/** Page after page of each partition, in turn; decoded where a codec is given. */
async function bareLog(log: EventLog, decodes: boolean): Promise<number> {
  const codec = createCodec(log)
  const { add, perSecond } = counter()
  const bounds = (await log.topics()).find(({ name }) => name === topic.name)?.bounds ?? []
  for (const { partition, low, high } of bounds)
    for (let offset = low; offset < high; ) {
      const records = await log.read({ topic: topic.name, partition, offset }, 500)
      if (decodes) for (const record of records) await codec.decode(topic, record)
      add(records.length)
      offset += records.length
    }
  return await perSecond
}

async function bareKafkajs(brokers: readonly string[], log: EventLog, decodes: boolean): Promise<number> {
  const codec = createCodec(log)
  const { add, perSecond } = counter()
  const consumer = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING }).consumer({
    groupId: randomUUID(),
    maxWaitTimeInMs: 250,
  })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic.name], fromBeginning: true })
  await consumer.run({
    eachBatch: async ({ batch }) => {
      if (decodes) for (const { value } of batch.messages) if (value) await codec.decode(topic, { value })
      add(batch.messages.length)
    },
  })
  const read = await perSecond
  await consumer.disconnect()
  return read
}

interface Ways {
  runner(): Promise<number>
  bare(decodes: boolean): Promise<number>
}

async function inTurns(what: string, ways: Ways): Promise<Row> {
  const turns: { runner: number; bare: number; decoding: number }[] = []
  await ways.bare(true)
  for (let n = 0; n < Number(flags.rounds); n++)
    turns.push({ bare: await ways.bare(false), decoding: await ways.bare(true), runner: await ways.runner() })
  const of = (figure: (one: (typeof turns)[number]) => number, digits = 0) => round(median(turns.map(figure)), digits)
  return {
    what,
    figures: {
      'bare client, events/s': of(one => one.bare),
      'and decoded, events/s': of(one => one.decoding),
      'runner, events/s': of(one => one.runner),
      'runner over bare': of(one => one.runner / one.bare, 2),
      'runner over bare and decoded': of(one => one.runner / one.decoding, 2),
    },
  }
}

async function onSqlite(): Promise<Row> {
  const data = mkdtempSync(join(tmpdir(), 'raylog-bench-runner-'))
  const settings = { data, log: { retentionDays: null } }
  const withLog = async <R>(act: (log: EventLog) => Promise<R>): Promise<R> => {
    const log = await (await storesOf(compile([], settings), surroundings)).log()
    try {
      return await act(log)
    } finally {
      await log.close()
    }
  }
  await withLog(fill)
  const row = await inTurns('embedded log (SQLite)', {
    runner: () => runner(settings),
    bare: decodes => withLog(log => bareLog(log, decodes)),
  })
  rmSync(data, { recursive: true })
  return row
}

async function onKafka(): Promise<Row> {
  await using services = await startServices().catch((error: unknown) =>
    skip('runner', `the services cannot be had here: ${error instanceof Error ? error.message : error}`),
  )
  const { kafka, registry } = services
  const data = mkdtempSync(join(tmpdir(), 'raylog-bench-runner-'))
  const settings = {
    data,
    mode: 'distributed',
    kafka: { brokers: kafka.brokers, registry: { url: registry.url } },
    mongo: { url: 'mongodb://127.0.0.1:1' },
    s3: { endpoint: 'http://127.0.0.1:1', bucket: 'none', accessKey: 'none', secretKey: 'none' },
  }
  const log = await (await storesOf(compile([], settings), surroundings)).log()
  await fill(log)
  const row = await inTurns('Kafka, beside a kafkajs consumer', {
    runner: () => runner(settings),
    bare: decodes => bareKafkajs(kafka.brokers, log, decodes),
  })
  await log.close()
  rmSync(data, { recursive: true })
  return row
}

const rows: Row[] = []
if (flags.only !== 'Kafka') rows.push(await onSqlite())
if (flags.only !== 'SQLite') rows.push(await onKafka())
console.log(markdown(rows))
console.log(JSON.stringify({ bench: 'runner', events, rows }))
