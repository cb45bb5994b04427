import { randomBytes } from 'node:crypto'
import { open, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { digest, full, useArrivals } from '../../tests/harness/arrivals.ts'
import { until } from '../../tests/harness/until.ts'
import { canSync } from '../direct.ts'

describe.skipIf(!canSync)('the arrivals (Linux)', () => {
  const { files, place, openHere, arrive, wreck, onDisk } = useArrivals()

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

  it('let who reads where an object stands read it whole, though it has its file and the segment is wanted again', async () => {
    const arrivals = await openHere({ maxSegments: 1, segmentBytes: 128 * 1024 })
    const bytes = randomBytes(50_000)
    const sha256 = await arrive(arrivals, bytes)
    const lent = arrivals.lend(sha256)
    if (!lent) throw new Error('it is here')
    const read = async () => (await readFile(lent.path)).subarray(lent.start, lent.start + lent.bytes)
    await arrivals.settle(sha256)
    expect(arrivals.lend(sha256)).toBeUndefined()
    const next = randomBytes(100_000)
    expect(await arrivals.put(next, digest(next))).toBe(false)
    expect((await read()).equals(bytes)).toBe(true)
    let erased = false
    const erasing = arrivals.erase(sha256).then(() => (erased = true))
    for (let turn = 0; turn < 20; turn++) await new Promise(resolve => setImmediate(resolve))
    expect(erased).toBe(false)
    lent.release()
    lent.release()
    await erasing
    expect((await read()).equals(Buffer.alloc(50_000))).toBe(true)
    await arrive(arrivals, next)
  })

  it('are one object for a hundred that put the same at once', async () => {
    const arrivals = await openHere()
    await arrive(arrivals, randomBytes(10))
    const bytes = randomBytes(40_000)
    const said = await Promise.all(Array.from({ length: 100 }, () => arrivals.put(bytes, digest(bytes))))
    expect(new Set(said)).toEqual(new Set([true]))
    expect(arrivals.keys().filter(sha256 => sha256 === digest(bytes))).toHaveLength(1)
  })
})
