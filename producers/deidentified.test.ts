import { readFileSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { describe as describeImage } from '../models/imaging/header.ts'
import { systemClock } from '../monitoring/clock.ts'
import type { Instance } from '../schemas/topics.ts'
import { openStores, type Stores } from '../tests/harness/stores.ts'
import { createIntake, type Hints, type IntakeOptions } from './intake.ts'
import { digitPng } from './simulator/phantoms.ts'

/** Its patient is called Canary^Patient, and its UIDs have a root of their own. */
const canary = readFileSync(join(import.meta.dirname, '../models/fixtures/imaging/explicit-u8.dcm'))
const identity = /canary|3680043\.10\.99999|19500102|ACC1/i

let stores: Stores | undefined
let published: Instance[] = []
afterEach(() => stores?.close())

const publish: IntakeOptions['publish'] = async (_topic, ...events) => {
  const instances: unknown[] = events
  published.push(...(instances as Instance[]))
  return []
}

async function intakeWith(deidentify: object) {
  published = []
  stores = await openStores({ deidentify: { pixels: { unknown: 'keep' }, ...deidentify } })
  const clock = systemClock
  return createIntake({
    producer: 'test',
    site: 'main',
    clock,
    deps: stores,
    publish,
    limit: 8,
    waitMs: 0,
    maxBytes: 1e9,
  })
}

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  const shared = Buffer.alloc(100)
  for (let at = 0; at < bytes.length; at += 100) {
    // The same memory again and again, as a socket's reader may do it.
    const part = bytes.subarray(at, at + 100)
    shared.set(part)
    yield shared.subarray(0, part.length)
  }
}

const from = (kind: Instance['source']['kind'], peer = 'ROOM1'): Hints => ({ source: { kind, peer } })

/** Whatever was written, in every file of the folder. */
async function everything(): Promise<string> {
  const folder = stores?.folder ?? ''
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter(entry => entry.isFile())
  const all = await Promise.all(files.map(entry => readFile(join(entry.parentPath, entry.name))))
  return Buffer.concat(all).toString('latin1')
}

describe('where the settings ask for it', () => {
  it('nothing but the de-identified object is stored and told', async () => {
    const intake = await intakeWith({ sources: ['dimse'] })
    const received = await intake.receive(pieces(canary), from('dimse'))
    expect(JSON.stringify([received, published])).not.toMatch(identity)
    expect(await everything()).not.toMatch(identity)
    const stored = await stores?.objects.get(received.object.key)
    const { patient, facts } = await describeImage(stored ?? new Uint8Array(0), true)
    expect(patient?.patientId).toMatch(/^RL[0-9A-F]{16}$/)
    expect(facts.dicom?.study).toMatch(/^2\.25\./)
    expect(published[0]?.patient).toMatch(/^pt_/)
  })

  it('the event tells what was done to which attribute, and of others nothing', async () => {
    const intake = await intakeWith({ sources: ['dimse'] })
    await intake.receive(pieces(canary), from('dimse'))
    await intake.receive(pieces(canary), from('upload'))
    const [clean, whole] = published
    expect(clean?.deidentified?.options).toEqual(['shift-dates', 'clean-pixels'])
    expect(clean?.deidentified?.pixels).toBe('untouched')
    const changed = new Map(clean?.deidentified?.changes.map(one => [one.name, [one.tag, one.action, one.count]]))
    expect(changed.get("Patient's Name")).toEqual(['00100010', 'dummy', 1])
    expect(changed.get('Study Instance UID')).toEqual(['0020000d', 'uid', 1])
    expect(JSON.stringify(clean?.deidentified)).not.toMatch(identity)
    expect(whole?.deidentified).toBeNull()
  })

  it('a patient of another site is another one, as on the log', async () => {
    const intake = await intakeWith({ sources: ['*'] })
    const keys = await Promise.all(
      [undefined, 'main', 'north'].map(
        async site => (await intake.receive(pieces(canary), { ...from('dimse'), site })).object.key,
      ),
    )
    expect(keys[1]).toBe(keys[0])
    expect(keys[2]).not.toBe(keys[0])
  })

  it('an image that is sent again is the same object and the same instance', async () => {
    const intake = await intakeWith({ sources: ['*'] })
    const [one, two] = await Promise.all([1, 2].map(() => intake.receive(pieces(canary), from('upload'))))
    expect(one?.id).toBe(two?.id)
    expect(one?.object.key).toBe(two?.object.key)
  })

  it('a sender is held to what it said of the image that it sent', async () => {
    const intake = await intakeWith({ sources: ['*'] })
    const { dicom } = (await describeImage(canary, true)).facts
    const { sopClass = '', sopInstance = '' } = dicom ?? {}
    const right = { ...from('dimse'), expect: { sopClass, sopInstance } }
    await expect(intake.receive(pieces(canary), right)).resolves.toMatchObject({ id: expect.any(String) })
    const wrong = { ...from('dimse'), expect: { sopClass, sopInstance: '1.2.3' } }
    await expect(intake.receive(pieces(canary), wrong)).rejects.toMatchObject({ code: 'identity-mismatch' })
  })

  it('what cannot be made safe is refused, and nothing of it is kept', async () => {
    const intake = await intakeWith({ sources: ['*'], pixels: { unknown: 'refuse' }, maxBytes: 100_000 })
    const refused = async (bytes: Uint8Array) =>
      intake.receive(pieces(bytes), from('upload')).then(
        () => 'taken',
        error => error.code,
      )
    expect(await refused(canary)).toBe('pixels-not-cleaned')
    expect(await refused(await digitPng(1))).toBe('not-deidentified')
    expect(await refused(canary.subarray(0, 700))).toBe('truncated')
    expect(await refused(new Uint8Array(0))).toBe('empty-upload')
    expect(await refused(Buffer.concat([canary, Buffer.alloc(100_000)]))).toBe('too-large')
    expect(published).toEqual([])
    expect(await everything()).not.toMatch(identity)
  })
})

it('leaves the images of others as they are', async () => {
  const intake = await intakeWith({ sources: ['dimse:ROOM2', 'watch'] })
  const { object } = await intake.receive(pieces(canary), from('dimse', 'ROOM1'))
  expect((await stores?.objects.get(object.key))?.equals(canary)).toBe(true)
  const other = await intake.receive(pieces(canary), from('dimse', 'ROOM2'))
  expect((await stores?.objects.get(other.object.key))?.toString('latin1')).not.toMatch(identity)
})

it('goes by the way that an image took as well as by its source', async () => {
  const intake = await intakeWith({ sources: ['dimse:ROOM1'] })
  const hints = { ...from('retrieve', 'pacs'), cameBy: { kind: 'dimse', peer: 'ROOM1' } as const }
  const { object } = await intake.receive(pieces(canary), hints)
  expect((await stores?.objects.get(object.key))?.toString('latin1')).not.toMatch(identity)
})
