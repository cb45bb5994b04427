/** Out of one embedded log and into another: all of it, once, in order. */
import { createWriteStream } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGzip, gunzipSync, gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { RaylogError } from '../../schemas/errors.ts'
import { type EmbeddedLog, openEmbeddedLog } from '../embedded/log.ts'
import type { EventLog, LogRecord, NewRecord } from '../log.ts'
import { exportLog } from './export.ts'
import { type ImportOptions, importLog } from './import.ts'

const retention = { maxAgeMs: null, maxBytes: null }
const [images, results] = ['images.v1', 'results.v1']
const schemas = ['"string"', '{"type":"record","name":"R","fields":[{"name":"a","type":"string"}]}']
let folder: string
let opened: EmbeddedLog[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'raylog-archive-'))
  opened = []
})
afterEach(async () => {
  await Promise.all(opened.map(log => log.close()))
  await rm(folder, { recursive: true })
})

async function openLog(name: string): Promise<EmbeddedLog> {
  const log = await openEmbeddedLog({ folder: join(folder, name), trimEveryMs: null })
  opened.push(log)
  return log
}

const topicsOf = (partitions: number) => [images, results].map(name => ({ name: String(name), partitions, retention }))

function value(id: number, text: string): Buffer {
  const bytes = Buffer.alloc(5 + text.length)
  bytes.writeUInt32BE(id, 1)
  bytes.write(text, 5)
  return bytes
}

/** Records of two topics under two schemas, with keys that repeat, and one that is no Avro at all. */
async function filled(count: number): Promise<{ log: EmbeddedLog; records: NewRecord[] }> {
  const log = await openLog('source')
  await log.ensureTopics(topicsOf(3))
  const ids = [await log.schemaId('images.v1-value', schemas[0] ?? ''), await log.schemaId('x', schemas[1] ?? '')]
  const records = Array.from({ length: count }, (_, n) => ({
    topic: n % 3 === 0 ? String(results) : String(images),
    key: `key-${n % 11}`,
    value: n === 7 ? Buffer.from([9, 9]) : value(ids[n % 3 === 0 ? 1 : 0] ?? 0, `value ${n}`),
    headers: n % 2 === 0 ? { traceparent: `00-${n}` } : {},
    timestamp: 1_000 + n,
  }))
  await log.append(records)
  return { log, records }
}

async function save(log: EventLog, options: Partial<Parameters<typeof exportLog>[1]> = {}): Promise<string> {
  const file = join(folder, 'export.gz')
  await pipeline(exportLog(log, { now: 5, ...options }), createGzip(), createWriteStream(file))
  return file
}

const take = (log: EventLog, file: string, options: Partial<ImportOptions> = {}) =>
  importLog(log, file, { specs: topicsOf(3), fromStart: [], ...options })

async function all(log: EventLog): Promise<LogRecord[]> {
  const found: LogRecord[] = []
  for (const { name, bounds } of await log.topics())
    for (const { partition, low } of bounds)
      found.push(...(await log.read({ topic: name, partition, offset: low }, 1e5)))
  return found
}

/** For each topic and key, what was said and in which order; schemas by their text. */
async function said(log: EventLog): Promise<Record<string, unknown[]>> {
  const lines: Record<string, unknown[]> = {}
  for (const { topic, key, headers, timestamp, value: bytes } of await all(log)) {
    const schema = bytes[0] === 0 ? await log.schemaText(bytes.readUInt32BE(1)) : null
    const line = { headers, timestamp, schema, text: bytes.toString('latin1', schema === null ? 0 : 5) }
    const name = `${topic} ${key}`
    lines[name] = [...(lines[name] ?? []), line]
  }
  return lines
}

const code = (promise: Promise<unknown>) =>
  promise.then(
    () => 'done',
    error => (error instanceof RaylogError ? error.code : String(error)),
  )

describe('an export that is imported', () => {
  it('gives the same records, schemas under the ids of the new log, each key in its order', async () => {
    const { log } = await filled(500)
    const file = await save(log)
    const target = await openLog('target')
    await target.schemaId('other', '"long"')
    expect(await take(target, file)).toEqual({ records: 500, there: 0, groups: [] })
    expect(await said(target)).toEqual(await said(log))
  })

  it('keeps the order of each key also where there are more partitions', async () => {
    const { log } = await filled(500)
    const target = await openLog('target')
    await take(target, await save(log), { specs: topicsOf(7) })
    expect(await said(target)).toEqual(await said(log))
  })

  it('adds nothing when it is imported again', async () => {
    const { log } = await filled(100)
    const file = await save(log)
    const target = await openLog('target')
    await take(target, file)
    expect(await take(target, file)).toMatchObject({ records: 100, there: 100 })
    expect(await said(target)).toEqual(await said(log))
  })

  it.each([1, 3, 50, 499])('goes on where it was interrupted, after %i records', async count => {
    const { log } = await filled(500)
    const file = await save(log)
    const half = await openLog('half')
    await take(half, file)
    const target = await openLog('target')
    await target.ensureTopics(topicsOf(3))
    for (const schema of schemas) await target.schemaId('any', schema)
    // As the import writes them: in the file's order, which is topic by topic, partition by partition.
    await target.append((await all(half)).slice(0, count))
    expect(await take(target, file)).toMatchObject({ there: count })
    expect(await said(target)).toEqual(await said(log))
  })

  it('is refused, and changes nothing, where the log holds something else', async () => {
    const { log, records } = await filled(50)
    const file = await save(log)
    const target = await openLog('target')
    await target.ensureTopics(topicsOf(3))
    const [first] = records
    if (!first) throw new Error('no record')
    await target.append([{ ...first, value: Buffer.from('mine') }])
    expect(await code(take(target, file))).toBe('bad-request')
    expect(await all(target)).toHaveLength(1)
  })

  it('is refused where the log has more than the file', async () => {
    const { log, records } = await filled(50)
    const file = await save(log)
    await log.append(records.slice(0, 1))
    expect(await code(take(log, file))).toBe('bad-request')
  })

  it('lets stages go on where they stood, but for those that are to read everything again', async () => {
    const { log } = await filled(200)
    const bounds = (await log.topics()).find(({ name }) => name === images)?.bounds ?? []
    for (const group of ['infer', 'persist'])
      await log.seek(
        group,
        bounds.map(({ partition, high }) => ({ topic: String(images), partition, offset: high - 2 })),
      )
    const target = await openLog('target')
    const file = await save(log)
    expect((await take(target, file, { specs: topicsOf(3), fromStart: ['persist'] })).groups).toEqual(['infer'])
    expect(await target.lag('infer')).toEqual(await log.lag('infer'))
    expect(await target.lag('persist')).toEqual([])
    // It has read on by now: importing again does not put it back.
    const done = bounds.map(({ partition, high }) => ({ topic: String(images), partition, offset: high }))
    await target.seek('infer', done)
    expect((await take(target, file, { fromStart: ['persist'] })).groups).toEqual([])
    expect((await target.lag('infer')).map(({ lag }) => lag)).toEqual([0, 0, 0])
  })

  it('has every event that a stage had not done before it, also with other partitions', async () => {
    const { log } = await filled(200)
    const undone = new Set<string>()
    for (const { name, bounds } of await log.topics()) {
      await log.seek(
        'infer',
        bounds.map(({ partition, high }) => ({ topic: name, partition, offset: high - partition })),
      )
      for (const { partition, high } of bounds)
        for (const record of await log.read({ topic: name, partition, offset: high - partition }, 100))
          undone.add(`${record.topic} ${record.timestamp}`)
    }
    expect(undone.size).toBe(6)
    const target = await openLog('target')
    await take(target, await save(log), { specs: topicsOf(5) })
    const left = new Set<string>()
    for (const { topic, partition, committed } of await target.lag('infer'))
      for (const record of await target.read({ topic, partition, offset: committed }, 1_000))
        left.add(`${record.topic} ${record.timestamp}`)
    expect([...undone].filter(one => !left.has(one))).toEqual([])
  })
})

describe('a part of a log', () => {
  it('is exported by topic and by time', async () => {
    const { log } = await filled(300)
    const target = await openLog('target')
    await take(target, await save(log, { topics: [String(images)], from: 1_100, to: 1_200 }))
    const found = await all(target)
    expect(new Set(found.map(({ topic }) => topic))).toEqual(new Set([images]))
    expect(found.map(({ timestamp }) => timestamp).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 100 }, (_, n) => 1_100 + n).filter(time => (time - 1_000) % 3 !== 0),
    )
    expect(await code(save(log, { topics: ['images.v2'] }))).toBe('not-found')
  })
})

describe('a file', () => {
  it('that is not whole, or not as it was written, is refused before anything is written', async () => {
    const { log } = await filled(500)
    const file = await save(log)
    const packed = await readFile(file)
    const plain = gunzipSync(packed)
    const flipped = Buffer.from(plain)
    flipped[plain.length >> 1] = (flipped[plain.length >> 1] ?? 0) ^ 1
    const target = await openLog('target')
    const wrong: [Buffer, string[]][] = [
      [packed.subarray(0, packed.length >> 1), ['truncated']],
      [gzipSync(plain.subarray(0, plain.length - 200)), ['truncated']],
      [gzipSync(flipped), ['object-damaged', 'truncated']],
      [gzipSync(Buffer.concat([plain, plain])), ['object-damaged']],
      [Buffer.from('no export at all'), ['bad-request']],
      [gzipSync('no export at all'), ['bad-request', 'object-damaged', 'truncated']],
      [Buffer.alloc(0), ['truncated']],
    ]
    for (const [bytes, codes] of wrong) {
      await writeFile(file, bytes)
      expect(codes).toContain(await code(take(target, file)))
    }
    expect(await code(take(target, join(folder, 'nothing')))).toBe('not-found')
    expect(await all(target)).toEqual([])
  })

  it('with a schema that nobody knows keeps it unknown', async () => {
    const log = await openLog('source')
    await log.ensureTopics(topicsOf(1))
    await log.append([{ topic: String(images), key: 'k', value: value(1, 'poison') }])
    const target = await openLog('target')
    const known = await target.schemaId('other', '"long"')
    expect(known).toBe(1)
    await take(target, await save(log), { specs: topicsOf(1) })
    const [record] = await all(target)
    expect(record?.value.readUInt32BE(1)).toBe(0xffff_ffff)
  })
})
