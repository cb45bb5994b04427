/** Arrivals in a folder of their own, whose files go into a map, and what a killed process would leave of them. */
import { createHash, randomBytes } from 'node:crypto'
import { cp, type FileHandle, mkdtemp, open, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, vi } from 'vitest'
import { RaylogError } from '../../schemas/errors.ts'
import { openArrivals } from '../../storage/arrivals/arrivals.ts'
import type { Arrivals, ArrivalsOptions } from '../../storage/arrivals/port.ts'
import { until } from './until.ts'

export const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
const never = 3_600_000
export const full: ArrivalsOptions['file'] = async standing =>
  standing.map(() => new RaylogError('store-full', 'no room'))

/** To be called within `describe`: each test has a folder of its own. */
export function useArrivals() {
  let folder: string
  const files = new Map<string, Buffer>()
  const opened: Arrivals[] = []
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'raylog-arrivals-'))
    files.clear()
  })
  afterEach(async () => {
    vi.restoreAllMocks()
    await Promise.all(opened.splice(0).map(one => one.close()))
    await rm(folder, { recursive: true, force: true })
  })

  const place = (name = 'arrivals') => join(folder, name)

  async function openHere(changes: Partial<ArrivalsOptions> = {}): Promise<Arrivals> {
    const file: ArrivalsOptions['file'] = async standing => {
      for (const { sha256, segment, at, bytes } of standing)
        files.set(sha256, (await readFile(segment)).subarray(at, at + bytes))
      return standing.map(() => undefined)
    }
    const defaults = { folder: place(), file, segmentBytes: 1024 * 1024, maxSegments: 4, idleMs: never }
    const arrivals = await openArrivals({ ...defaults, ...changes })
    opened.push(arrivals)
    return arrivals
  }

  /** Puts until it is taken: before the first segment is made, nothing is. */
  async function arrive(arrivals: Arrivals, bytes: Buffer): Promise<string> {
    const sha256 = digest(bytes)
    await until('it is taken', () => arrivals.put(bytes, sha256))
    return sha256
  }

  /** The same, with a note. */
  async function arriveNoted(arrivals: Arrivals, bytes: Buffer, note: string): Promise<string> {
    const sha256 = digest(bytes)
    await until('it is taken', () => arrivals.putNoted(bytes, sha256, async () => Buffer.from(note)))
    return sha256
  }

  /** A segment that is being made changes its name when it is. */
  const noneInTheMaking = () =>
    until('no segment is being made', async () => (await readdir(place())).every(name => !name.endsWith('.new')))

  /** What the disk has of it at this moment, as after the process was killed. */
  async function wreck(): Promise<string> {
    await noneInTheMaking()
    const copy = place(`wreck-${randomBytes(4).toString('hex')}`)
    // Another may be begun at any time; it would be swept.
    await cp(place(), copy, { recursive: true, filter: path => !path.endsWith('.new') })
    return copy
  }

  const onDisk = async (bytes: Buffer, of = place()) => {
    await noneInTheMaking()
    const segments = await Promise.all(
      (await readdir(of)).filter(name => !name.endsWith('.new')).map(name => readFile(join(of, name))),
    )
    return segments.some(segment => segment.includes(bytes.subarray(0, 64)))
  }

  /** Each write into a segment from now on is told of first, and is done by `go`. */
  async function onWrite(tell: (go: () => Promise<unknown>) => Promise<unknown>): Promise<void> {
    await noneInTheMaking()
    const file = await open(join(folder, 'any'), 'w')
    const prototype: Pick<FileHandle, 'write'> = Object.getPrototypeOf(file)
    const { write } = prototype
    await file.close()
    vi.spyOn(prototype, 'write').mockImplementation(function (this: FileHandle, ...args: unknown[]) {
      return tell(() => Reflect.apply(write, this, args)) as ReturnType<typeof write>
    })
  }
  const failing = (go: () => Promise<unknown>) =>
    go().then(() => Promise.reject(Object.assign(new Error('i/o'), { code: 'EIO' })))

  return { files, place, openHere, arrive, arriveNoted, wreck, onDisk, onWrite, failing }
}
