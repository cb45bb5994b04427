import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type EmbeddedLog, openEmbeddedLog } from '../../kafka/embedded/log.ts'
import { systemClock } from '../../monitoring/clock.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { topics } from '../../schemas/topics.ts'
import { createSettled } from './replays-settled.ts'

const topic = topics.predictions.name
let folder: string
let log: EmbeddedLog
let asked: number
let away: boolean

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'raylog-settled-'))
  log = await openEmbeddedLog({ folder, trimEveryMs: null })
  await log.ensureTopics([{ name: topic, partitions: 1, retention: { maxAgeMs: null, maxBytes: null } }])
  asked = 0
  away = false
})
afterEach(async () => {
  await log.close()
  await rm(folder, { recursive: true })
})

const say = () => log.append([{ topic, key: 'st', value: Buffer.of(0) }])
const read = (offset: number) => log.seek('persist', [{ topic, partition: 0, offset }])
function open() {
  const reach = () => {
    asked++
    if (away) throw new RaylogError('log-unavailable', 'away')
  }
  return createSettled(
    {
      async topics() {
        reach()
        return await log.topics()
      },
      async lag(group) {
        reach()
        return await log.lag(group)
      },
    },
    systemClock,
  )
}

it('is settled once all is read that was there when that was first asked, and stays so without asking again', async () => {
  const settled = open()
  await say()
  await read(0)
  expect(await settled('rr_1')).toBe(false)
  await say()
  await read(1)
  expect(await settled('rr_1')).toBe(true)
  expect(await settled('rr_2'), 'which ended later').toBe(false)
  const before = asked
  away = true
  expect(await settled('rr_1')).toBe(true)
  expect(asked).toBe(before)
})

it('is not settled yet while the log is away, and is when it is back', async () => {
  const settled = open()
  await say()
  await read(1)
  away = true
  expect(await settled('rr_1')).toBe(false)
  away = false
  expect(await settled('rr_1')).toBe(true)
})

it('is not waited for where the log says nothing for long', async () => {
  const never = () => new Promise<never>(() => undefined)
  const settled = createSettled({ topics: never, lag: never }, { ...systemClock, sleep: async () => undefined })
  expect(await settled('rr_1')).toBe(false)
})
