/** The end of the database that a power cut takes: copies of its files as they were before the appends, and the journal after. */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { canSync } from '../../storage/direct.ts'
import { readJournal } from './journal.ts'
import { type EmbeddedLog, openEmbeddedLog } from './log.ts'

const topic = { name: 'events.v1', partitions: 3, retention: { maxAgeMs: null, maxBytes: null } }

describe.skipIf(!canSync)('the journal of the embedded log (Linux)', () => {
  let folder: string
  const opened: EmbeddedLog[] = []
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'raylog-journal-'))
  })
  afterEach(async () => {
    await Promise.all(opened.splice(0).map(log => log.close()))
    rmSync(folder, { recursive: true, force: true })
  })

  async function openIn(name: string): Promise<EmbeddedLog> {
    const log = await openEmbeddedLog({ folder: join(folder, name), trimEveryMs: null })
    opened.push(log)
    return log
  }

  /** By another process: closing the file in this one would let go of its lock. */
  const copy = (what: string, to: string) => {
    mkdirSync(join(folder, to), { recursive: true })
    execFileSync('sh', ['-c', `cp "$0"/${what} "$1"/`, join(folder, 'log'), join(folder, to)])
  }

  const values = async (log: EmbeddedLog) => {
    const parts = await Promise.all(
      [0, 1, 2].map(partition => log.read({ topic: topic.name, partition, offset: 0 }, 1_000)),
    )
    return parts.map(records => records.map(({ key, value, offset }) => `${offset} ${key} ${value.toString('hex')}`))
  }

  async function appendSome(log: EmbeddedLog, count: number): Promise<void> {
    for (let n = 0; n < count; n++)
      await log.append([{ topic: topic.name, key: randomBytes(4).toString('hex'), value: randomBytes(200) }])
  }

  it('gives back every record that was acknowledged, at its offset, wherever the database ended', async () => {
    const log = await openIn('log')
    await log.ensureTopics([topic])
    await appendSome(log, 5)
    copy('log.sqlite*', 'early')
    await appendSome(log, 10)
    copy('log.sqlite*', 'late')
    await appendSome(log, 10)
    const expected = await values(log)
    expect(expected.flat()).toHaveLength(25)
    for (const name of ['early', 'late']) {
      copy('log.journal', name)
      const cut = await openIn(name)
      expect(await values(cut)).toEqual(expected)
      await appendSome(cut, 1)
      expect((await values(cut)).flat()).toHaveLength(26)
    }
  })

  it('is needed no more once something else was committed', async () => {
    const log = await openIn('log')
    await log.ensureTopics([topic])
    await appendSome(log, 5)
    await log.check()
    copy('log.sqlite*', 'cut')
    await appendSome(log, 3)
    const expected = await values(log)
    copy('log.journal', 'cut')
    expect(await values(await openIn('cut'))).toEqual(expected)
  })

  it('is not given up for a commit that changes nothing, and so is not synced by itself', async () => {
    const log = await openIn('log')
    await log.ensureTopics([topic])
    const where = [{ topic: topic.name, partition: 0, offset: 0 }]
    await log.seek('group', where)
    const walBytes = () => statSync(join(folder, 'log', 'log.sqlite-wal')).size
    const nothing = walBytes()
    await log.seek('group', where)
    expect(walBytes()).toBe(nothing)
    await appendSome(log, 1)
    const appended = walBytes()
    // The append is in the journal alone: this commit must write something, so that its sync takes the append along.
    await log.seek('group', where)
    expect(walBytes()).toBeGreaterThan(appended)
  })

  it('brings nothing back that retention removed, wherever the database ended', async () => {
    const short = { ...topic, retention: { maxAgeMs: null, maxBytes: 3_000 } }
    const log = await openIn('log')
    await log.ensureTopics([short])
    await appendSome(log, 30)
    copy('log.sqlite*', 'early')
    await appendSome(log, 30)
    expect(await log.trim()).toBeGreaterThan(0)
    copy('log.sqlite*', 'trimmed')
    const bounds = (await log.topics()).flatMap(info => info.bounds)
    const expected = await values(log)
    copy('log.journal', 'trimmed')
    const trimmed = await openIn('trimmed')
    expect(await values(trimmed)).toEqual(expected)
    expect((await trimmed.topics()).flatMap(info => info.bounds)).toEqual(bounds)
    // A cut before the trimming was synced: what it removed is there again, and goes at the next trimming.
    copy('log.journal', 'early')
    const early = await openIn('early')
    expect((await early.topics()).flatMap(info => info.bounds.map(({ high }) => high))).toEqual(
      bounds.map(({ high }) => high),
    )
    await early.trim()
    expect(await values(early)).toEqual(expected)
  })

  it('is read up to where a write was cut off, and what was said then stands in the database', async () => {
    const log = await openIn('log')
    await log.ensureTopics([topic])
    await appendSome(log, 3)
    // Of another process's making: a journal that is no journal harms nothing.
    for (const bytes of [Buffer.alloc(0), Buffer.alloc(100, 7), randomBytes(8_192)]) {
      mkdirSync(join(folder, 'odd'), { recursive: true })
      writeFileSync(join(folder, 'odd', 'log.journal'), bytes)
      expect(readJournal(join(folder, 'odd', 'log.journal'))).toEqual([])
    }
    copy('log.sqlite*', 'odd')
    expect(await values(await openIn('odd'))).toEqual(await values(log))
  })

  it('goes on where more is appended than it holds', async () => {
    const log = await openIn('log')
    await log.ensureTopics([topic])
    for (let n = 0; n < 12; n++) await log.append([{ topic: topic.name, key: 'k', value: randomBytes(600_000) }])
    await log.append([{ topic: topic.name, key: 'k', value: randomBytes(6_000_000) }])
    copy('log.sqlite*', 'cut')
    await appendSome(log, 2)
    const expected = await values(log)
    copy('log.journal', 'cut')
    expect(await values(await openIn('cut'))).toEqual(expected)
  })

  it('gives nothing that was not appended, and all before the tear, however it is torn', async () => {
    const log = await openIn('log')
    await log.ensureTopics([topic])
    await appendSome(log, 8)
    const whole = readFileSync(join(folder, 'log', 'log.journal'))
    const torn = join(folder, 'torn.journal')
    const expected = readJournal(join(folder, 'log', 'log.journal'))
    expect(expected).toHaveLength(8)
    const tears = fc.record({
      at: fc.integer({ min: 0, max: 8 * 4_096 }),
      bytes: fc.uint8Array({ minLength: 8, maxLength: 6_000 }),
    })
    fc.assert(
      fc.property(tears, ({ at, bytes }) => {
        const file = Buffer.from(whole)
        file.set(bytes, at)
        writeFileSync(torn, file)
        const found = readJournal(torn)
        expect(found).toEqual(expected.slice(0, found.length))
        expect(found.length).toBeGreaterThanOrEqual(Math.floor(at / 4_096))
      }),
      { numRuns: 100, seed: 3 },
    )
  })
})
