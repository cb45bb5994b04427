import { createHash, randomBytes } from 'node:crypto'
import { cp, type FileHandle, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { RaylogError } from '../../schemas/errors.ts'
import { until } from '../../tests/harness/until.ts'
import { canSync } from '../direct.ts'
import { type Arrivals, type ArrivalsOptions, openArrivals } from './arrivals.ts'

const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const never = 3_600_000
const full: ArrivalsOptions['file'] = async standing => standing.map(() => new RaylogError('store-full', 'no room'))

describe.skipIf(!canSync)('the arrivals (Linux)', () => {
  let folder: string
  let files: Map<string, Buffer>
  const opened: Arrivals[] = []
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'raylog-arrivals-'))
    files = new Map()
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

  /** A segment that is being made changes its name when it is. */
  const noneInTheMaking = () =>
    until('no segment is being made', async () => (await readdir(place())).every(name => !name.endsWith('.new')))

  /** What the disk has of it at this moment, as after the process was killed. */
  async function wreck(): Promise<string> {
    await noneInTheMaking()
    const copy = place(`wreck-${randomBytes(4).toString('hex')}`)
    await cp(place(), copy, { recursive: true })
    return copy
  }

  const onDisk = async (bytes: Buffer, of = place()) => {
    await noneInTheMaking()
    const segments = await Promise.all((await readdir(of)).map(name => readFile(join(of, name))))
    return segments.some(segment => segment.includes(bytes.subarray(0, 64)))
  }

  it('keep what they took, whole and in part, until it has a file', async () => {
    const arrivals = await openHere()
    const bytes = randomBytes(10_000)
    const sha256 = await arrive(arrivals, bytes)
    expect((await arrivals.read(sha256))?.equals(bytes)).toBe(true)
    expect((await arrivals.read(sha256, 9_990, 99))?.equals(bytes.subarray(9_990))).toBe(true)
    expect(arrivals.stat(sha256)?.bytes).toBe(10_000)
    await arrivals.settle(sha256)
    expect(files.get(sha256)?.equals(bytes)).toBe(true)
    expect(await arrivals.read(sha256)).toBeUndefined()
    expect(arrivals.keys()).toEqual([])
  })

  it('make the files by themselves when nothing comes any more', async () => {
    const arrivals = await openHere({ idleMs: 20 })
    const made = await Promise.all(Array.from({ length: 20 }, () => arrive(arrivals, randomBytes(5_000))))
    await until('all have files', () => made.every(sha256 => files.has(sha256)))
    expect(arrivals.keys()).toEqual([])
  })

  it('are taken up by the next process where one was killed, and the files are made then', async () => {
    const arrivals = await openHere()
    const kept = new Map<string, Buffer>()
    for (let n = 0; n < 60; n++) {
      const bytes = randomBytes(1 + ((n * 7_919) % 60_000))
      kept.set(await arrive(arrivals, bytes), bytes)
    }
    const next = await openHere({ folder: await wreck() })
    expect(next.keys().sort()).toEqual([...kept.keys()].sort())
    for (const [sha256, bytes] of kept)
      expect(((await next.read(sha256)) ?? files.get(sha256))?.equals(bytes)).toBe(true)
    await next.close()
    expect([...files.keys()].sort()).toEqual([...kept.keys()].sort())
  })

  it('give nothing that is not whole, and all that stands before a tear, wherever the disk tore', async () => {
    const arrivals = await openHere({ segmentBytes: 512 * 1024, maxSegments: 1 })
    const kept: string[] = []
    for (let n = 0; n < 12; n++) kept.push(await arrive(arrivals, randomBytes(8_000 + n)))
    // Each has a page of head and two of bytes, behind the segment's page.
    const endOf = (n: number) => 4_096 * (1 + 3 * (n + 1))
    const tears = fc.record({
      at: fc.integer({ min: 0, max: endOf(12) }),
      with: fc.uint8Array({ minLength: 16, maxLength: 9_000 }),
    })
    await fc.assert(
      fc.asyncProperty(tears, async tear => {
        const torn = await wreck()
        for (const name of await readdir(torn)) {
          const file = await open(join(torn, name), 'r+')
          await file.write(tear.with, 0, tear.with.length, tear.at)
          await file.close()
        }
        const next = await openHere({ folder: torn })
        const found = next.keys()
        for (const sha256 of found) expect(digest((await next.read(sha256)) ?? Buffer.alloc(0))).toBe(sha256)
        if (tear.at >= 4_096) expect(found).toEqual(expect.arrayContaining(kept.filter((_, n) => endOf(n) <= tear.at)))
      }),
      { numRuns: 25, seed: 5 },
    )
  })

  it('use their segments again, and never more of them than they may', async () => {
    const arrivals = await openHere({ maxSegments: 3, idleMs: 5 })
    const kept = new Map<string, Buffer>()
    for (let n = 0; n < 150; n++) {
      const bytes = randomBytes(30_000)
      kept.set(await arrive(arrivals, bytes), bytes)
    }
    expect((await readdir(place())).length).toBeLessThanOrEqual(3)
    for (const [sha256, bytes] of kept)
      expect(((await arrivals.read(sha256)) ?? files.get(sha256))?.equals(bytes)).toBe(true)
  })

  it('take nothing where there is no room, which is no failure', async () => {
    const arrivals = await openHere({
      maxSegments: 1,
      segmentBytes: 256 * 1024,
      file: full,
    })
    await arrive(arrivals, randomBytes(200_000))
    const bytes = randomBytes(200_000)
    expect(await arrivals.put(bytes, digest(bytes))).toBe(false)
    expect(await arrivals.put(randomBytes(2_000_000), 'x')).toBe(false)
  })

  it('keep what no file can be made of, for whoever opens them next', async () => {
    const arrivals = await openHere({ file: full })
    const bytes = randomBytes(50_000)
    const sha256 = await arrive(arrivals, bytes)
    await expect(arrivals.settle(sha256)).rejects.toMatchObject({ code: 'store-full' })
    expect((await arrivals.read(sha256))?.equals(bytes)).toBe(true)
    await arrivals.close()
    const next = await openHere()
    await next.settle()
    expect(files.get(sha256)?.equals(bytes)).toBe(true)
  })

  it('leave no byte of what was erased, whether it had a file yet or not, and do not bring it back', async () => {
    const arrivals = await openHere()
    const [one, two, stays] = [randomBytes(20_000), randomBytes(20_000), randomBytes(20_000)]
    await arrive(arrivals, one)
    await arrive(arrivals, two)
    await arrive(arrivals, stays)
    await arrivals.settle(digest(two))
    expect(await onDisk(one)).toBe(true)
    expect(await onDisk(two)).toBe(true)
    expect(await arrivals.erase(digest(one))).toBe(true)
    await arrivals.erase(digest(two))
    expect(await onDisk(one)).toBe(false)
    expect(await onDisk(two)).toBe(false)
    const next = await openHere({ folder: await wreck() })
    expect(next.keys()).toEqual([digest(stays)])
    expect(await next.erase(digest(stays))).toBe(true)
    expect(next.keys()).toEqual([])
  })

  it('are one object for a hundred that put the same at once', async () => {
    const arrivals = await openHere()
    await arrive(arrivals, randomBytes(10))
    const bytes = randomBytes(40_000)
    const said = await Promise.all(Array.from({ length: 100 }, () => arrivals.put(bytes, digest(bytes))))
    expect(new Set(said)).toEqual(new Set([true]))
    expect(arrivals.keys().filter(sha256 => sha256 === digest(bytes))).toHaveLength(1)
  })

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

  it('do not bring back what was erased after its write had failed, though it stands there whole', async () => {
    const arrivals = await openHere()
    const stays = await arrive(arrivals, randomBytes(20_000))
    const bytes = randomBytes(20_000)
    await onWrite(failing)
    await expect(arrivals.put(bytes, digest(bytes))).rejects.toMatchObject({ code: 'EIO' })
    vi.restoreAllMocks()
    expect(await onDisk(bytes)).toBe(true)
    expect(await arrivals.erase(digest(bytes))).toBe(false)
    expect(await onDisk(bytes)).toBe(false)
    expect((await openHere({ folder: await wreck() })).keys()).toEqual([stays])
  })

  it('do without a segment that cannot be written any more, and let it go when it is not needed', async () => {
    const arrivals = await openHere({ maxSegments: 2 })
    const kept = await arrive(arrivals, randomBytes(20_000))
    await until('both segments are there', async () => (await readdir(place())).length === 2)
    await onWrite(failing)
    const lost = randomBytes(30_000)
    await expect(arrivals.put(lost, digest(lost))).rejects.toMatchObject({ code: 'EIO' })
    vi.restoreAllMocks()
    await arrive(arrivals, randomBytes(40_000))
    await arrivals.settle(kept)
    await until('its bytes are gone', async () => !(await onDisk(lost)))
    for (let n = 0; n < 60; n++) await arrivals.settle(await arrive(arrivals, randomBytes(40_000)))
    expect((await readdir(place())).length).toBeLessThanOrEqual(2)
  })

  it('say so where they could not erase, and do it when they are asked again', async () => {
    const arrivals = await openHere()
    const bytes = randomBytes(20_000)
    const sha256 = await arrive(arrivals, bytes)
    await onWrite(() => Promise.reject(Object.assign(new Error('i/o'), { code: 'EIO' })))
    await expect(arrivals.erase(sha256)).rejects.toMatchObject({ code: 'EIO' })
    vi.restoreAllMocks()
    await arrivals.erase(sha256)
    expect(await onDisk(bytes)).toBe(false)
  })

  it('have erased when they say so, though the next use of the segment has that place already', async () => {
    const arrivals = await openHere({ maxSegments: 1, segmentBytes: 128 * 1024 })
    const old = randomBytes(50_000)
    await arrivals.settle(await arrive(arrivals, old))
    await arrivals.settle(await arrive(arrivals, randomBytes(50_000)))
    const held = Promise.withResolvers<void>()
    await onWrite(go => held.promise.then(go))
    const next = randomBytes(60_000)
    const put = arrivals.put(next, digest(next))
    const found = arrivals.erase(digest(old)).then(() => onDisk(old))
    for (let turn = 0; turn < 50; turn++) await new Promise(resolve => setImmediate(resolve))
    held.resolve()
    expect(await found).toBe(false)
    expect(await put).toBe(true)
  })

  it('find what stands behind an object whose erasing was cut short anywhere', async () => {
    const arrivals = await openHere({ maxSegments: 1, segmentBytes: 128 * 1024 })
    const gone = await arrive(arrivals, randomBytes(20_000))
    const stays = await arrive(arrivals, randomBytes(20_000))
    const [name = ''] = await readdir(place())
    const before = await readFile(join(place(), name))
    await arrivals.erase(gone)
    const torn = await wreck()
    const after = await readFile(join(torn, name))
    for (let at = 0; at < after.length; at += 512)
      if (!after.subarray(at, at + 512).equals(before.subarray(at, at + 512))) randomBytes(512).copy(after, at)
    await writeFile(join(torn, name), after)
    expect((await openHere({ folder: torn })).keys()).toEqual([stays])
  })

  it('keep one of two that stand in the segments of one who was killed, and let both segments go', async () => {
    const arrivals = await openHere({ maxSegments: 1 })
    const [one, two] = [randomBytes(20_000), randomBytes(30_000)]
    await arrive(arrivals, one)
    await arrive(arrivals, two)
    const twice = await wreck()
    const [name = ''] = await readdir(twice)
    await cp(join(twice, name), join(twice, 'again'))
    const next = await openHere({ folder: twice, maxSegments: 0 })
    await next.erase(digest(one))
    expect(await onDisk(one, twice)).toBe(false)
    await next.settle()
    expect(files.get(digest(two))?.equals(two)).toBe(true)
    await until('both are gone', async () => (await readdir(twice)).length === 0)
  })
})
