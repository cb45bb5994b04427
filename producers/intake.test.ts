import pino from 'pino'
import sharp from 'sharp'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { systemClock } from '../monitoring/clock.ts'
import { createMetrics } from '../monitoring/metrics.ts'
import { RaylogError } from '../schemas/errors.ts'
import { ids } from '../schemas/ids.ts'
import type { Instance } from '../schemas/topics.ts'
import { openStores, type Stores } from '../tests/harness/stores.ts'
import { createGate } from './gate.ts'
import { wholeBytes } from './head.ts'
import { createIntake, type Hints, type Incoming, type IntakeOptions } from './intake.ts'
import { chestDicom, digitPng } from './simulator/phantoms.ts'
import { createTrays, type Trays } from './trays.ts'

let stores: Stores
let published: Instance[] = []
beforeEach(async () => {
  stores = await openStores()
  published = []
})
afterEach(() => stores.close())

/** Keeps what would be on the log; the intake writes to one topic alone. */
const publish: IntakeOptions['publish'] = async (_topic, ...events) => {
  const instances: unknown[] = events
  published.push(...(instances as Instance[]))
  return []
}

function intakeOf(changes: Partial<IntakeOptions> = {}) {
  return createIntake({
    producer: 'test',
    site: 'main',
    clock: systemClock,
    deps: stores,
    publish,
    limit: 2,
    waitMs: 0,
    maxBytes: 1e9,
    ...changes,
  })
}

async function* pieces(bytes: Uint8Array, size = 65_536): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

const hints: Hints = { source: { kind: 'upload', peer: 'test' } }

async function objectCount(): Promise<number> {
  let count = 0
  for await (const _ of stores.objects.list()) count++
  return count
}

describe('the intake', () => {
  it('makes a plain image a study of its own, unless it is told of one', async () => {
    const intake = intakeOf()
    const png = await digitPng(1)
    const alone = await intake.receive(pieces(png), hints)
    expect(alone.id).toBe(ids.instance('main', null, alone.object.sha256))
    expect(alone.study).toBe(ids.study('main', alone.id))
    const grouped = await intake.receive(pieces(png), { ...hints, study: 'demo' })
    expect(grouped).toMatchObject({ id: alone.id, study: ids.study('main', 'demo') })
  })

  it('gives a patient of two sites two pseudonyms, and of one site one', async () => {
    await intakeOf().receive(pieces(chestDicom(1)), hints)
    await intakeOf().receive(pieces(chestDicom(17, { study: 1 })), hints)
    await intakeOf({ site: 'other' }).receive(pieces(chestDicom(1)), hints)
    const [here, again, there] = published.map(event => event.patient)
    expect(here).toBe(again)
    expect(here).not.toBe(there)
    expect(here).toMatch(/./)
  })

  it('reads the header of a large TIFF where it stands: at its end', async () => {
    const tiff = await sharp({ create: { width: 1500, height: 1000, channels: 3, background: '#84a' } })
      .tiff({ compression: 'none' })
      .toBuffer()
    expect(tiff.length).toBeGreaterThan(4_000_000)
    expect(tiff.readUInt32LE(4)).toBeGreaterThan(4_000_000)
    const { object, facts } = await intakeOf().receive(pieces(tiff), hints)
    expect(facts).toMatchObject({ contentType: 'image/tiff', rows: 1000, columns: 1500 })
    expect((await stores.objects.get(object.key)).equals(tiff)).toBe(true)
  })

  it('asks whoever waits for the result before it publishes', async () => {
    const seen: number[] = []
    await intakeOf().receive(pieces(chestDicom(1)), { ...hints, beforePublish: () => seen.push(published.length) })
    expect(seen).toEqual([0])
    expect(published).toHaveLength(1)
  })

  it('reads no further than to what shows that an image is refused', async () => {
    let read = 0
    async function* endless() {
      for (;;) {
        read++
        yield Buffer.alloc(65_536, 0x77)
      }
    }
    await expect(intakeOf().receive(endless(), hints)).rejects.toMatchObject({ code: 'not-an-image' })
    expect(read).toBeLessThan(20)
    await expect(
      intakeOf({ maxBytes: 500_000 }).receive(pieces(chestDicom(1, { size: 1024 })), hints),
    ).rejects.toMatchObject({
      code: 'too-large',
    })
    expect(await objectCount()).toBe(0)
  })

  it('says busy when every place is taken, and takes the next when one is free', async () => {
    const gate = Promise.withResolvers<void>()
    const intake = intakeOf({ publish: () => gate.promise.then(() => []) })
    const held = [1, 2].map(seed => intake.receive(pieces(chestDicom(seed)), hints))
    await expect(intake.receive(pieces(chestDicom(3)), hints)).rejects.toMatchObject({ code: 'busy' })
    expect(intake.inFlight).toBe(2)
    gate.resolve()
    await Promise.all(held)
    await intake.idle()
    await intake.receive(pieces(chestDicom(3)), hints)
  })

  it('stops when it is told to, with nothing left', async () => {
    const stop = new AbortController()
    async function* interrupted() {
      yield chestDicom(1, { size: 1024 }).subarray(0, 1_200_000)
      stop.abort(new RaylogError('stopping', 'enough'))
      yield Buffer.alloc(10)
    }
    await expect(intakeOf().receive(interrupted(), hints, stop.signal)).rejects.toMatchObject({ code: 'stopping' })
    expect(await objectCount()).toBe(0)
  })
})

describe('the intake, where the event is kept beside the bytes', () => {
  /** The whole image in one piece, as C-STORE gives it. */
  const inOne = (bytes: Buffer): Incoming => ({
    fill: async (into, seen) => {
      into.set(bytes)
      seen?.(bytes)
      return { bytes: bytes.length, ended: true }
    },
    [Symbol.asyncIterator]: () => pieces(Buffer.alloc(0)),
  })
  let trays: Trays
  beforeAll(() => {
    trays = createTrays(wholeBytes, { logger: pino({ level: 'silent' }), metrics: createMetrics() })
  })
  afterAll(() => trays.close())
  const kept = vi.fn()
  const sealed: Instance[] = []
  const seal: IntakeOptions['seal'] = async (_topic, event) => {
    const instance: unknown = event
    sealed.push(instance as Instance)
    return { bytes: Buffer.from(`${sealed.length}`), kept }
  }
  /** A store that keeps the note, or says that it cannot, before or after it asked for it. */
  function storeThat(how: 'keeps' | 'cannot' | 'fails') {
    const notes: string[] = []
    const objects: typeof stores.objects = {
      ...stores.objects,
      async putNoted(bytes, contentType, sha256, note) {
        if (how === 'cannot') return undefined
        const stored = await stores.objects.put(bytes, contentType, { sha256 })
        notes.push(Buffer.from(await note(stored)).toString())
        return how === 'keeps' ? stored : undefined
      },
    }
    return { objects, notes }
  }
  beforeEach(() => {
    sealed.length = 0
    kept.mockClear()
  })

  it('answers when the store has both, and leaves the log to it', async () => {
    const { objects, notes } = storeThat('keeps')
    const asked: Instance[] = []
    const intake = intakeOf({ deps: { ...stores, objects }, seal, trays })
    const received = await intake.receive(inOne(chestDicom(1)), {
      ...hints,
      beforePublish: event => asked.push(event),
    })
    expect(notes).toEqual(['1'])
    expect(kept).toHaveBeenCalledTimes(1)
    expect(published).toEqual([])
    expect(sealed).toMatchObject([{ id: received.id, object: received.object }])
    expect(asked).toEqual(sealed)
  })

  it.each(['cannot', 'fails'] as const)('publishes the same event, once, where the store %s', async how => {
    const { objects } = storeThat(how)
    const asked: Instance[] = []
    const intake = intakeOf({ deps: { ...stores, objects }, seal, trays })
    const { object } = await intake.receive(inOne(chestDicom(1)), {
      ...hints,
      beforePublish: event => asked.push(event),
    })
    expect(kept).not.toHaveBeenCalled()
    expect(published).toEqual(asked)
    expect(published).toMatchObject([{ object }])
    if (how === 'fails') expect(published).toEqual(sealed)
  })

  it('refuses what it would refuse else, and keeps no note of it', async () => {
    const { objects, notes } = storeThat('keeps')
    const intake = intakeOf({ deps: { ...stores, objects }, seal, trays })
    const other = { ...hints, expect: { sopInstance: '1.2.3' } }
    await expect(intake.receive(inOne(chestDicom(1)), other)).rejects.toMatchObject({ code: 'identity-mismatch' })
    await expect(intake.receive(inOne(chestDicom(1).subarray(0, 9_000)), hints)).rejects.toMatchObject({
      code: 'truncated',
    })
    expect(notes).toEqual([])
  })
})

describe('the gate', () => {
  it('lets those who wait in by their order, and forgets those who gave up', async () => {
    const gate = createGate(1)
    const leave = await gate.enter(0)
    const order: string[] = []
    const enter = (name: string, signal?: AbortSignal) =>
      gate.enter(60_000, signal).then(
        out => {
          order.push(name)
          out()
        },
        () => order.push(`${name} gave up`),
      )
    const stop = new AbortController()
    const all = [enter('first'), enter('second', stop.signal), enter('third')]
    stop.abort()
    leave()
    leave()
    await Promise.all(all)
    await gate.empty()
    expect(order).toEqual(['second gave up', 'first', 'third'])
    expect(gate.inside).toBe(0)
  })
})
