/**
 * The embedded log: durable appends and reads a second, at batches of 1 and 100, with 10,000 and with 1,000,000 events in
 * it. Flat means that the second line is as good as the first.
 *
 *   node bench/log.ts [--events 1000000] [--seconds 2]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type EmbeddedLog, openEmbeddedLog } from '../kafka/embedded/log.ts'
import { markdown, type Row, round } from './table.ts'

const { values: flags } = parseArgs({
  options: { events: { type: 'string', default: '1000000' }, seconds: { type: 'string', default: '2' } },
})
const ms = Number(flags.seconds) * 1_000
const topic = 'bench.v1'
const value = Buffer.alloc(600, 7)
let written = 0

const batchOf = (size: number) =>
  Array.from({ length: size }, () => ({ topic, key: `study-${written++ % 997}`, value }))

async function fill(log: EmbeddedLog, events: number): Promise<void> {
  while (written < events) await Promise.all(Array.from({ length: 8 }, () => log.append(batchOf(500))))
}

/** Records appended a second by `callers` that each wait for the last before the next. */
async function append(log: EmbeddedLog, size: number, callers: number): Promise<number> {
  const started = performance.now()
  let count = 0
  await Promise.all(
    Array.from({ length: callers }, async () => {
      while (performance.now() - started < ms) {
        await log.append(batchOf(size))
        count += size
      }
    }),
  )
  return (count / (performance.now() - started)) * 1_000
}

async function read(log: EmbeddedLog, size: number): Promise<number> {
  const [info] = await log.topics()
  const partitions = info?.bounds ?? []
  const next = new Map(partitions.map(({ partition, low }) => [partition, low]))
  const started = performance.now()
  let count = 0
  while (performance.now() - started < ms) {
    for (const { partition, low, high } of partitions) {
      const from = next.get(partition) ?? low
      const records = await log.read({ topic, partition, offset: from }, size)
      count += records.length
      next.set(partition, from + records.length >= high ? low : from + records.length)
    }
  }
  return (count / (performance.now() - started)) * 1_000
}

const folder = mkdtempSync(join(tmpdir(), 'raylog-bench-log-'))
const log = await openEmbeddedLog({ folder, trimEveryMs: null })
await log.ensureTopics([{ name: topic, partitions: 6, retention: { maxAgeMs: null, maxBytes: null } }])
const rows: Row[] = []
for (const events of [10_000, Number(flags.events)]) {
  await fill(log, events)
  rows.push({
    what: `${events.toLocaleString('en')} events in it`,
    figures: {
      'appends/s, 1 caller': round(await append(log, 1, 1)),
      'appends/s, 64 callers': round(await append(log, 1, 64)),
      'records/s in 100s': round(await append(log, 100, 4)),
      'reads/s, 1 a call': round(await read(log, 1)),
      'reads/s, 100 a call': round(await read(log, 100)),
    },
  })
}
await log.close()
rmSync(folder, { recursive: true })
console.log(markdown(rows))
console.log(JSON.stringify({ bench: 'log', rows }))
