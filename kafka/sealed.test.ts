import { hash, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { RaylogError, toRaylogError } from '../schemas/errors.ts'
import type { Deliver } from '../storage/arrivals/port.ts'
import { canSync } from '../storage/direct.ts'
import { openFolderObjects } from '../storage/folder-objects.ts'
import { until } from '../tests/harness/until.ts'
import { type EmbeddedLog, openEmbeddedLog } from './embedded/log.ts'
import type { NewRecord } from './log.ts'
import { appendSealed, seal } from './sealed.ts'

let folder: string
let log: EmbeddedLog
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'raylog-sealed-'))
  log = await openEmbeddedLog({ folder: join(folder, 'log'), trimEveryMs: null })
  await log.ensureTopics(
    ['a', 'b'].map(name => ({ name, partitions: 3, retention: { maxAgeMs: null, maxBytes: null } })),
  )
})
afterEach(async () => {
  await log.close()
  await rm(folder, { recursive: true })
})

const record = (n: number, topic = 'a'): NewRecord => ({
  topic,
  key: `key ${n}`,
  value: Buffer.from(`value ${n}`),
  headers: { n: `${n}` },
})

async function onLog(topic = 'a') {
  const found = await Promise.all([0, 1, 2].map(partition => log.read({ topic, partition, offset: 0 }, 10_000)))
  return found.flat()
}
const valuesOf = async (topic?: string) => (await onLog(topic)).map(({ value }) => value.toString()).toSorted()
const numbers = (...ns: number[]) => ns.map(n => `value ${n}`).toSorted()

describe('sealed records', () => {
  it('stand on the log as they were sealed, at the time when they were', async () => {
    await appendSealed(log, [seal(record(1), 1_234), seal(record(2, 'b'), 5_678)], false)
    expect(await onLog()).toMatchObject([{ key: 'key 1', headers: { n: '1' }, timestamp: 1_234 }])
    expect(await onLog('b')).toMatchObject([{ key: 'key 2', headers: { n: '2' }, timestamp: 5_678 }])
  })

  it('are not there twice where some of them were there already, of whatever partition and page', async () => {
    const sealed = Array.from({ length: 700 }, (_, n) => seal(record(n), 1_000 + n))
    await appendSealed(log, sealed.slice(0, 650), false)
    await appendSealed(log, [...sealed.slice(3), seal(record(7, 'b'), 1_000)], true)
    expect(await valuesOf()).toEqual(numbers(...Array.from({ length: 700 }, (_, n) => n)))
    expect(await valuesOf('b')).toEqual(numbers(7))
  })

  it('are looked for no further than until all are found', async () => {
    const before = Array.from({ length: 600 }, (_, n) => seal(record(n), 1_000 + n))
    const after = Array.from({ length: 6_000 }, (_, n) => seal(record(n + 600), 2_000 + n))
    await appendSealed(log, [...before, ...after], false)
    const read = vi.spyOn(log, 'read')
    await appendSealed(log, before, true)
    expect(read.mock.calls.length).toBeLessThanOrEqual(3)
  })

  it('are there in full where another of the same key or the same value is there', async () => {
    await appendSealed(log, [seal(record(1), 1_000), seal({ ...record(2), key: 'key 3' }, 1_000)], false)
    const other = [seal({ ...record(1), value: Buffer.from('value 9') }, 1_000), seal(record(2), 1_000)]
    await appendSealed(log, other, true)
    expect(await valuesOf()).toEqual(numbers(1, 2, 2, 9))
  })
})

describe.skipIf(!canSync)('an object store that puts them on the log behind the answer (Linux)', () => {
  const toTheLog: Deliver = (notes, again) => appendSealed(log, notes, again)
  const openObjects = (deliver = toTheLog) =>
    openFolderObjects({ folder: join(folder, 'objects'), arrivals: { segmentBytes: 1024 * 1024, deliver } })

  it('loses none and doubles none, whatever becomes of the thread of the log', async () => {
    const objects = await openObjects()
    const kept: number[] = []
    for (let n = 0; n < 120; n++) {
      const bytes = randomBytes(20_000)
      const note = async () => seal(record(n), Date.now())
      await until('it is kept', () => objects.putNoted?.(bytes, 'a/b', hash('sha256', bytes), note))
      kept.push(n)
      if (n % 15 === 7) await log.killThread()
    }
    await objects.close()
    expect(await valuesOf()).toEqual(numbers(...kept))
  })

  it('says in its health that the log refuses them, and why, until it takes them', async () => {
    let refusal: RaylogError | undefined = new RaylogError('log-unavailable', 'the disk of the log is away')
    const objects = await openObjects(async (notes, again) => {
      if (refusal) throw refusal
      await toTheLog(notes, again)
    })
    await objects.check()
    const bytes = randomBytes(20_000)
    const note = async () => seal(record(1), Date.now())
    await until('it is kept', () => objects.putNoted?.(bytes, 'a/b', hash('sha256', bytes), note))
    const said = () => objects.check().then(() => undefined, toRaylogError)
    await until('its health says so', async () => (await said()) !== undefined)
    expect(await said()).toMatchObject({
      code: 'log-unavailable',
      message: expect.stringMatching(/are kept.*the disk of the log is away/),
    })
    refusal = undefined
    await until('it is well again', async () => (await said()) === undefined)
    expect(await valuesOf()).toEqual(numbers(1))
    await objects.close()
  })
})
