/**
 * The log's adapter beside bare kafkajs, plain and idempotent, and what of @platformatic/kafka and
 * @confluentinc/kafka-javascript is installed in a folder that is named: throughput, latency, and what becomes of "written"
 * when brokers are killed. In turns, on brokers that it starts itself.
 *
 *   node bench/kafka/main.ts [--brokers 1|3] [--count 50000] [--rounds 3] [--kills 3] [--peer FOLDER] [--only WORDS]
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { until } from '../../tests/harness/until.ts'
import { inSync, openLog } from '../../tests/services/kafka-kit.ts'
import { type Kafka, startKafka } from '../../tests/services/servers/kafka.ts'
import { markdown, median, quantile, type Row, round } from '../table.ts'
import { type BenchRecord, bareKafkajs, idempotentKafkajs, ours, peersOf, type Session } from './clients.ts'

const { values: flags } = parseArgs({
  options: {
    brokers: { type: 'string', default: '1' },
    count: { type: 'string', default: '50000' },
    rounds: { type: 'string', default: '3' },
    kills: { type: 'string', default: '3' },
    peer: { type: 'string' },
    /** Clients whose name has one of these words, separated by commas. */
    only: { type: 'string', default: '' },
  },
})
const partitions = 6
const recordBytes = 600
const perAppend = 500
const inFlight = 8
const perSecond = 200
const latencyMs = 8_000

async function newTopic(kafka: Kafka): Promise<string> {
  const log = await openLog(kafka)
  const name = `bench-${randomUUID()}`
  await log.ensureTopics([{ name, partitions, retention: { maxAgeMs: null, maxBytes: null } }])
  await log.close()
  return name
}

const record = (n: number): BenchRecord => {
  const value = Buffer.alloc(recordBytes, 'x')
  value.writeDoubleBE(performance.now(), 0)
  value.writeUInt32BE(n, 8)
  return { key: `study-${n % 1000}`, value }
}

/** Senders repeat what was not taken. */
async function repeatedly(append: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await append()
    } catch (error) {
      if (attempt === 20) throw error
      await wait(20)
    }
  }
}

/** Records a second, written and read. */
async function throughput(session: Session, topic: string, count: number): Promise<{ write: number; read: number }> {
  const began = performance.now()
  let next = 0
  const writers = Array.from({ length: inFlight }, async () => {
    while (next < count) {
      const from = next
      next += perAppend
      await session.append(
        topic,
        Array.from({ length: perAppend }, (_, n) => record(from + n)),
      )
    }
  })
  await Promise.all(writers)
  const written = performance.now()
  let read = 0
  let first = 0
  const stop = await session.consume(topic, () => {
    if (read++ === 0) first = performance.now()
  })
  await until('all is read', () => read >= count, { deadlineMs: 120_000, everyMs: 2 })
  const last = performance.now()
  await stop()
  return { write: count / ((written - began) / 1000), read: count / ((last - first) / 1000) }
}

/** From before the append to its answer, and to the handler of a reader, ms. */
async function latency(session: Session, topic: string): Promise<{ answered: number[]; read: number[] }> {
  const answered: number[] = []
  const read: number[] = []
  const stop = await session.consume(topic, value => void read.push(performance.now() - value.readDoubleBE(0)))
  // The group's first join is not what is measured.
  await session.append(topic, [record(0)])
  await until('it reads', () => read.length > 0)
  read.length = 0
  const pending: Promise<void>[] = []
  const began = performance.now()
  for (let n = 0; performance.now() - began < latencyMs; n++) {
    await wait(Math.max(0, began + (n * 1000) / perSecond - performance.now()))
    const at = performance.now()
    pending.push(
      repeatedly(() => session.append(topic, [record(n)])).then(() => void answered.push(performance.now() - at)),
    )
  }
  await Promise.all(pending)
  await until('all is read', () => read.length >= answered.length)
  await stop()
  return { answered, read }
}

/** Appends of 20 records at 200 a second while one broker is killed and comes back: what was "written" and is not there. */
async function killed(kafka: Kafka, session: Session, topic: string, which: number) {
  const said = new Set<number>()
  let next = 0
  let failures = 0
  let longest = 0
  let lastAnswer = performance.now()
  let stopped = false
  async function append(numbers: readonly number[]): Promise<void> {
    while (!stopped) {
      try {
        await session.append(topic, numbers.map(record))
        longest = Math.max(longest, performance.now() - lastAnswer)
        lastAnswer = performance.now()
        for (const n of numbers) said.add(n)
        return
      } catch {
        failures++
        await wait(50)
      }
    }
  }
  const pending = new Set<Promise<void>>()
  const sending = (async () => {
    while (!stopped) {
      const numbers = Array.from({ length: 20 }, () => next++)
      const one = append(numbers).finally(() => pending.delete(one))
      pending.add(one)
      await wait(100)
    }
  })()
  await wait(2_000)
  const node = kafka.nodes[which % kafka.nodes.length]
  await node?.kill()
  await wait(10_000)
  await node?.start()
  await inSync(kafka.brokers, topic, 3)
  await wait(2_000)
  stopped = true
  await sending
  await Promise.race([Promise.all(pending), wait(60_000)])
  // What is said from here on may come after its partition was read.
  const written = [...said]
  const there = await numbersOf(kafka, topic)
  return { lost: written.filter(n => !there.has(n)).length, said: written.length, failures, longestMs: longest }
}

async function numbersOf(kafka: Kafka, topic: string): Promise<Set<number>> {
  const log = await openLog(kafka)
  const there = new Set<number>()
  for (const { partition, high } of (await log.topics()).find(({ name }) => name === topic)?.bounds ?? [])
    for (let offset = 0; offset < high; ) {
      const records = await log.read({ topic, partition, offset }, 10_000)
      for (const { value } of records) there.add(value.readUInt32BE(8))
      offset = (records.at(-1)?.offset ?? high) + 1
    }
  await log.close()
  return there
}

interface Results {
  write: number[]
  read: number[]
  answered: number[]
  e2e: number[]
}
const empty = (): Results => ({ write: [], read: [], answered: [], e2e: [] })

const peers = flags.peer ? await peersOf(flags.peer) : []
const clients = [ours, bareKafkajs, idempotentKafkajs, ...peers].filter(({ name }) =>
  flags.only.split(',').some(word => name.includes(word)),
)
await using kafka = await startKafka(flags.brokers === '3' ? 3 : 1)
const results = new Map(clients.map(({ name }) => [name, empty()]))

for (let turn = 0; turn < Number(flags.rounds); turn++)
  for (const client of clients) {
    const into = results.get(client.name)
    const session = await client.open(kafka.brokers)
    try {
      const speed = await throughput(session, await newTopic(kafka), Number(flags.count))
      const times = await latency(session, await newTopic(kafka))
      into?.write.push(speed.write)
      into?.read.push(speed.read)
      into?.answered.push(...times.answered)
      into?.e2e.push(...times.read)
      console.error(client.name, round(speed.write), round(speed.read), round(quantile(times.answered, 0.99), 1))
    } catch (error) {
      // The round is left out, said here: what then refuses everything has no figures.
      console.error(client.name, 'gave up:', error)
    }
    await Promise.race([session.close(), wait(5_000)])
  }

const rows: Row[] = clients.map(({ name }) => {
  const { write, read, answered, e2e } = results.get(name) ?? empty()
  return {
    what: name,
    figures: {
      'write, records/s': round(median(write)),
      'read, records/s': round(median(read)),
      'answer p50, ms': round(quantile(answered, 0.5), 1),
      'answer p99, ms': round(quantile(answered, 0.99), 1),
      'to the reader p50, ms': round(quantile(e2e, 0.5), 1),
      'to the reader p99, ms': round(quantile(e2e, 0.99), 1),
    },
  }
})

if (flags.brokers === '3' && Number(flags.kills) > 0)
  for (const [index, client] of clients.entries()) {
    const outcomes = []
    for (let turn = 0; turn < Number(flags.kills); turn++) {
      const session = await client.open(kafka.brokers)
      const outcome = await killed(kafka, session, await newTopic(kafka), turn)
      await Promise.race([session.close(), wait(5_000)])
      console.error(client.name, 'killed', JSON.stringify(outcome))
      outcomes.push(outcome)
    }
    const row = rows[index]
    if (!row) continue
    row.figures['written, then lost'] = outcomes.map(({ lost }) => lost).join(', ')
    row.figures['longest without an answer, s'] = outcomes.map(({ longestMs }) => round(longestMs / 1000, 1)).join(', ')
    row.figures['failed appends'] = outcomes.map(({ failures }) => failures).join(', ')
  }
console.log(markdown(rows))
// A client that lost its broker may keep timers.
setImmediate(() => process.exit())
