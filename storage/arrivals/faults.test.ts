import { randomBytes } from 'node:crypto'
import { cp, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { RaylogError } from '../../schemas/errors.ts'
import { digest, useArrivals } from '../../tests/harness/arrivals.ts'
import { until } from '../../tests/harness/until.ts'
import { canSync } from '../direct.ts'

describe.skipIf(!canSync)('arrivals whose disk fails, or whose process is killed (Linux)', () => {
  const { files, place, openHere, arrive, wreck, onDisk, onWrite, failing } = useArrivals()

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

  it('make the files of all others where those of some cannot be made', async () => {
    const bad = Array.from({ length: 40 }, () => randomBytes(2_000))
    const refused = new Set(bad.map(digest))
    const filed = new Set<string>()
    const arrivals = await openHere({
      idleMs: 20,
      file: async standing =>
        standing.map(({ sha256 }) => {
          if (refused.has(sha256)) return new RaylogError('store-unavailable', 'i/o')
          filed.add(sha256)
          return undefined
        }),
    })
    const good = Array.from({ length: 60 }, () => randomBytes(2_000))
    for (const bytes of [...bad, ...good]) await arrive(arrivals, bytes)
    await until('the others have files', () => good.every(bytes => filed.has(digest(bytes))))
    expect(new Set(arrivals.keys())).toEqual(refused)
    for (const bytes of bad) expect((await arrivals.read(digest(bytes)))?.equals(bytes)).toBe(true)
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
