/** What every ObjectStore adapter holds. Each adapter has a file of its own that calls `objectsContract`. */
import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ObjectStore } from '../../storage/objects.ts'
import { codeOf, collect, digest, keys, listed, type ObjectsHarness } from './objects-kit.ts'
import { writerContract } from './objects-writer.ts'

const strangeKeys = [
  '',
  '/',
  '.',
  '..',
  '../../etc/passwd',
  '/etc/passwd',
  '..\\..\\windows\\win.ini',
  'aa/../../secret',
  `ab/${'0'.repeat(64)}`,
  `00/${'0'.repeat(63)}`,
  `00/${'0'.repeat(64)}/../x`,
  `00/${'0'.repeat(64)}\0.dcm`,
  `00/${'0'.repeat(64)}\n`,
  'x'.repeat(5000),
  '%2e%2e%2fetc%2fpasswd',
]

export function objectsContract(name: string, openHarness: () => Promise<ObjectsHarness>): void {
  describe(`${name} as an object store`, () => {
    let harness: ObjectsHarness
    let store: ObjectStore
    beforeEach(async () => {
      harness = await openHarness()
      store = harness.store
    })
    afterEach(async () => {
      await harness.release()
    })

    describe('what is put', () => {
      it('comes back byte for byte, under a key of its digest, for every client', async () => {
        const bytes = randomBytes(300_000)
        const stored = await store.put(bytes, 'application/dicom')
        expect(stored).toMatchObject({ sha256: digest(bytes), bytes: 300_000, contentType: 'application/dicom' })
        expect(stored.key).toContain(stored.sha256)
        expect((await store.get(stored.key)).equals(bytes)).toBe(true)
        const other = await harness.again()
        expect((await other.get(stored.key)).equals(bytes)).toBe(true)
        await other.close()
      })

      it('may be nothing at all', async () => {
        const stored = await store.put(new Uint8Array(0), 'text/plain')
        expect(stored.bytes).toBe(0)
        expect(await store.get(stored.key)).toHaveLength(0)
        expect(await store.range(stored.key, { start: 0, end: 99 })).toHaveLength(0)
        expect(await collect(await store.stream(stored.key))).toHaveLength(0)
        const writer = await store.writer()
        expect(await writer.commit('text/plain')).toEqual(stored)
      })

      it('is one object however often and however it comes', async () => {
        const bytes = randomBytes(2_500_000)
        const first = await store.put(bytes, 'image/png')
        const writer = await store.writer()
        for (let at = 0; at < bytes.length; at += 100_000) await writer.write(bytes.subarray(at, at + 100_000))
        expect(await writer.commit('image/png')).toEqual(first)
        expect(await store.put(bytes, 'image/png')).toEqual(first)
        expect(await keys(store)).toEqual([first.key])
      })

      it('is one object for fifty writers of it at once, whole whenever anyone looks', async () => {
        const bytes = randomBytes(1_200_000)
        const stored = await Promise.all(
          Array.from({ length: 50 }, async (_, i) => {
            if (i % 2) return store.put(bytes, 'image/png')
            const writer = await store.writer()
            await writer.write(bytes.subarray(0, 700_000))
            await writer.write(bytes.subarray(700_000))
            const made = await writer.commit('image/png')
            expect((await store.get(made.key)).equals(bytes)).toBe(true)
            return made
          }),
        )
        expect(new Set(stored.map(one => one.key)).size).toBe(1)
        expect(await keys(store)).toEqual([stored[0]?.key])
        expect(await harness.unfinished()).toBe(0)
      })

      it('is told of with its size and time', async () => {
        const before = Date.now()
        const stored = await store.put(randomBytes(5000), 'image/png')
        const found = await store.stat(stored.key)
        expect(found?.bytes).toBe(5000)
        // Stores keep time to the second or to a clock tick, and by a clock of their own.
        expect(found?.modifiedAt).toBeGreaterThan(before - 10_000)
        expect(found?.modifiedAt).toBeLessThan(Date.now() + 10_000)
        expect(await listed(store)).toEqual([{ key: stored.key, ...found }])
      })
    })

    writerContract(() => harness)

    describe('a range', () => {
      const bytes = Buffer.from('0123456789')
      it.each([
        [{ start: 0, end: 0 }, '0'],
        [{ start: 0, end: 9 }, '0123456789'],
        [{ start: 3, end: 5 }, '345'],
        [{ start: 9, end: 9 }, '9'],
        [{ start: 8, end: 5000 }, '89'],
        [{ start: 0, end: Number.POSITIVE_INFINITY }, '0123456789'],
        [{ start: 10, end: 12 }, ''],
        [{ start: 5000, end: 6000 }, ''],
      ])('%o of ten bytes is "%s", read or streamed', async (range, expected) => {
        const { key } = await store.put(bytes, 'text/plain')
        expect((await store.range(key, range)).toString()).toBe(expected)
        expect((await collect(await store.stream(key, range))).toString()).toBe(expected)
      })

      it.each([
        { start: -1, end: 3 },
        { start: 4, end: 3 },
        { start: 0.5, end: 3 },
        { start: Number.NaN, end: 3 },
      ])('%o is refused', async range => {
        const { key } = await store.put(bytes, 'text/plain')
        expect(await codeOf(store.range(key, range))).toBe('bad-request')
        expect(await codeOf(store.stream(key, range))).toBe('bad-request')
      })
    })

    describe('what is not there', () => {
      it.each(strangeKeys)('is missing under the key %j, and no path leads out', async key => {
        expect(await codeOf(store.get(key))).toBe('object-missing')
        expect(await codeOf(store.range(key, { start: 0, end: 10 }))).toBe('object-missing')
        expect(await codeOf(store.stream(key))).toBe('object-missing')
        expect(await store.stat(key)).toBeUndefined()
        expect(await store.delete(key)).toBe(false)
        expect(store.local(key)).toBeUndefined()
      })

      it('is missing under a well-formed key too, from get, range and stream alike', async () => {
        const { key } = await store.put(randomBytes(100), 'text/plain')
        expect(await store.delete(key)).toBe(true)
        expect(await store.delete(key)).toBe(false)
        expect(await codeOf(store.get(key))).toBe('object-missing')
        expect(await codeOf(store.range(key, { start: 0, end: 10 }))).toBe('object-missing')
        expect(await codeOf(store.stream(key))).toBe('object-missing')
        expect(await store.stat(key)).toBeUndefined()
        expect(await keys(store)).toEqual([])
      })
    })

    it('can be put again after it was deleted', async () => {
      const bytes = randomBytes(1000)
      const { key } = await store.put(bytes, 'text/plain')
      await store.delete(key)
      await store.put(bytes, 'text/plain')
      expect((await store.get(key)).equals(bytes)).toBe(true)
    })

    it('lists all of many objects once each, also while some are deleted', async () => {
      const made = await Promise.all(
        Array.from({ length: 300 }, (_, i) => store.put(Buffer.from(`object ${i}`), 'a/b')),
      )
      const seen: string[] = []
      for await (const { key } of store.list()) {
        seen.push(key)
        await store.delete(key)
      }
      expect(seen.sort()).toEqual(made.map(one => one.key).sort())
      expect(await keys(store)).toEqual([])
    })

    it('says that it is well, and leaves nothing of the check', async () => {
      await store.check()
      expect(await keys(store)).toEqual([])
      expect(await harness.unfinished()).toBe(0)
    })
  })
}
