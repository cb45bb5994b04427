import { hash, randomBytes } from 'node:crypto'
import { afterEach, expect, it } from 'vitest'
import { createTrays, type Tray, type Trays } from './trays.ts'

const trayBytes = 256 * 1024
let trays: Trays
afterEach(() => trays.close())

/** As a socket gives it: piece after piece, and the digest asked for when the last is there. */
async function fillIn(tray: Tray, bytes: Buffer, pieceBytes: number): Promise<string> {
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const piece = bytes.subarray(at, at + pieceBytes)
    tray.memory.set(piece, at)
    tray.filled(at + piece.length)
    await new Promise(setImmediate)
  }
  return tray.sha256(bytes.length)
}

it('digests what fills many trays at once, used again and again', async () => {
  trays = createTrays(trayBytes)
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
  trays = createTrays(trayBytes)
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
  trays = createTrays(trayBytes)
  const bytes = randomBytes(trayBytes)
  const before = trays.take()
  const asked = fillIn(before, bytes, trayBytes)
  await trays.close()
  expect(await asked).toBe(hash('sha256', bytes))
  before.give()
  expect(await fillIn(trays.take(), bytes, 10_000)).toBe(hash('sha256', bytes))
})
