import { hash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import pino from 'pino'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createMetrics } from '../monitoring/metrics.ts'
import { until } from '../tests/harness/until.ts'
import { createTrays, type Tray, type Trays } from './trays.ts'

const trayBytes = 256 * 1024
let trays: Trays
let metrics: ReturnType<typeof createMetrics>
let lines: string[]
beforeEach(() => {
  metrics = createMetrics()
  lines = []
})
afterEach(() => trays.close())

const open = () => createTrays(trayBytes, { logger: pino({}, { write: line => void lines.push(line) }), metrics })

/** As a socket gives it: piece after piece, and the digest asked for when the last is there. */
async function fillIn(tray: Tray, bytes: Buffer, pieceBytes: number): Promise<string | undefined> {
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const piece = bytes.subarray(at, at + pieceBytes)
    tray.memory.set(piece, at)
    tray.filled(at + piece.length)
    await new Promise(setImmediate)
  }
  return tray.sha256(bytes.length)
}

it('digests what fills many trays at once, used again and again', async () => {
  trays = open()
  async function fillSome(): Promise<void> {
    for (let n = 0; n < 20; n++) {
      const bytes = randomBytes(n === 3 ? 0 : 1 + Math.floor((trayBytes * n) / 20))
      const tray = trays.take()
      expect(await fillIn(tray, bytes, 50_000)).toBe(hash('sha256', bytes))
      if (n === 7) tray.drop()
      else tray.give()
    }
  }
  await Promise.all(Array.from({ length: 8 }, fillSome))
})

it('forgets an image that did not come to its end', async () => {
  trays = open()
  const tray = trays.take()
  tray.memory.fill(1)
  tray.filled(trayBytes)
  tray.give()
  const again = trays.take()
  expect(again.memory.buffer).toBe(tray.memory.buffer)
  const bytes = randomBytes(trayBytes)
  expect(await fillIn(again, bytes, 10_000)).toBe(hash('sha256', bytes))
})

it('digests by itself when its thread has ended, also what that thread was asked', async () => {
  trays = open()
  const bytes = randomBytes(trayBytes)
  const before = trays.take()
  const asked = fillIn(before, bytes, trayBytes)
  await trays.close()
  expect(await asked).toBe(hash('sha256', bytes))
  before.give()
  expect(await fillIn(trays.take(), bytes, 10_000)).toBe(hash('sha256', bytes))
})

it('digests fewer bytes than it was told of', async () => {
  trays = open()
  for (const bytes of [0, 60]) {
    const [tray, after] = [trays.take(), trays.take()]
    tray.memory.fill(7)
    tray.filled(100)
    // The thread goes from tray to tray: what it says of the second it says when it has seen the first.
    await after.sha256(10)
    expect(await tray.sha256(bytes)).toBe(hash('sha256', Buffer.alloc(bytes, 7)))
  }
})

it('answers nothing for a tray that is dropped before its digest is there', async () => {
  trays = open()
  const asked = Array.from({ length: 20 }, () => {
    const tray = trays.take()
    const sha256 = tray.sha256(trayBytes)
    tray.drop()
    return sha256
  })
  expect(new Set(await Promise.all(asked))).toEqual(new Set([undefined]))
})

it('counts and tells of a thread that died, and starts another; not of one that it ended itself', async () => {
  trays = open()
  const restarts = async () => (await metrics.workerRestarts.get()).values
  const started = once(process, 'worker')
  const tray = trays.take()
  const [thread] = await started
  if (!(thread instanceof Worker)) throw new Error('no thread')
  const asked = fillIn(tray, randomBytes(100), 100)
  await thread.terminate()
  expect(await asked).toMatch(/^[0-9a-f]{64}$/)
  await until('the death is counted', async () => (await restarts()).length > 0)
  expect(await restarts()).toMatchObject([{ labels: { pool: 'digest', code: 'worker-died' }, value: 1 }])
  expect(lines.filter(line => line.includes('digests images died'))).toHaveLength(1)
  const bytes = randomBytes(trayBytes)
  expect(await fillIn(trays.take(), bytes, 10_000)).toBe(hash('sha256', bytes))
  await trays.close()
  expect(await restarts()).toMatchObject([{ value: 1 }])
})
