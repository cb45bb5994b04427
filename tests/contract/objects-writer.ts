/** What the writer of every ObjectStore adapter holds; part of `objectsContract`. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { beforeEach, describe, expect, it } from 'vitest'
import type { ObjectStore } from '../../storage/objects.ts'
import { digest, keys, type ObjectsHarness } from './objects-kit.ts'

const childBody = `
const writer = await store.writer()
const chunk = Buffer.alloc(256 * 1024, 5)
for (let i = 0; i < 24; i++) await writer.write(chunk)
process.stdout.write('written')
setInterval(() => {}, 1000)
`

async function childThatIsWriting(source: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', source + childBody], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await Promise.race([
    once(child.stdout ?? child, 'data'),
    once(child, 'exit').then(() => Promise.reject(new Error('the child ended before it had written'))),
  ])
  return child
}

/** @param harnessOf of the test that runs */
export function writerContract(harnessOf: () => ObjectsHarness): void {
  describe('a writer', () => {
    let harness: ObjectsHarness
    let store: ObjectStore
    beforeEach(() => {
      harness = harnessOf()
      store = harness.store
    })

    it('takes chunks that its caller fills again', async () => {
      const writer = await store.writer()
      const chunk = Buffer.alloc(1000)
      for (let i = 0; i < 5; i++) {
        chunk.fill(i)
        await writer.write(chunk)
      }
      const { key } = await writer.commit('text/plain')
      const expected = Buffer.concat(Array.from({ length: 5 }, (_, i) => Buffer.alloc(1000, i)))
      expect((await store.get(key)).equals(expected)).toBe(true)
    })

    it('keeps the order of writes that nobody waited for', async () => {
      const parts = Array.from({ length: 40 }, () => randomBytes(100_000))
      const writer = await store.writer()
      const [stored] = await Promise.all([
        Promise.all(parts.map(part => writer.write(part))).then(() => writer.commit('text/plain')),
      ])
      expect(stored.sha256).toBe(digest(Buffer.concat(parts)))
    })

    it('streams 100 MB with a memory that does not grow with it', async () => {
      const chunk = randomBytes(1_000_000)
      const hash = createHash('sha256')
      const before = process.memoryUsage().rss
      let most = before
      const writer = await store.writer()
      for (let i = 0; i < 100; i++) {
        chunk.writeUInt32BE(i)
        hash.update(chunk)
        await writer.write(chunk)
        most = Math.max(most, process.memoryUsage().rss)
      }
      const stored = await writer.commit('application/octet-stream')
      const back = createHash('sha256')
      for await (const part of await store.stream(stored.key)) {
        back.update(part)
        most = Math.max(most, process.memoryUsage().rss)
      }
      expect(stored.bytes).toBe(100_000_000)
      expect(back.digest('hex')).toBe(stored.sha256)
      expect(hash.digest('hex')).toBe(stored.sha256)
      expect((most - before) / 1e6).toBeLessThan(60)
    })

    it.each([10, 3_000_000])('leaves nothing behind when aborted after %i bytes', async size => {
      const writer = await store.writer()
      await writer.write(randomBytes(size))
      await writer.abort()
      await writer.abort()
      expect(await keys(store)).toEqual([])
      expect(await harness.unfinished()).toBe(0)
      await expect(writer.commit('text/plain')).rejects.toThrow()
    })

    it('may be aborted while it writes, and after its commit', async () => {
      const writer = await store.writer()
      const writing = writer.write(randomBytes(4_000_000))
      await writer.abort()
      await Promise.allSettled([writing])
      expect(await harness.unfinished()).toBe(0)
      expect(await keys(store)).toEqual([])

      const second = await store.writer()
      await second.write(randomBytes(2_000_000))
      const stored = await second.commit('text/plain')
      await second.abort()
      expect(await store.get(stored.key)).toHaveLength(2_000_000)
    })

    it('shows nothing of an object before its commit', async () => {
      const bytes = randomBytes(3_000_000)
      const writer = await store.writer()
      await writer.write(bytes)
      expect(await keys(store)).toEqual([])
      const stored = await writer.commit('text/plain')
      expect(await keys(store)).toEqual([stored.key])
    })

    it('that is killed leaves no half object, and its rest is swept at the next open', async () => {
      const child = await childThatIsWriting(harness.childSource)
      expect(await harness.unfinished()).toBe(1)
      const other = await harness.again()
      expect(await harness.unfinished(), 'a writer that lives is not swept').toBe(1)
      await other.close()

      child.kill('SIGKILL')
      await once(child, 'exit')
      expect(await keys(store)).toEqual([])
      const restarted = await harness.again()
      expect(await keys(restarted)).toEqual([])
      expect(await harness.unfinished()).toBe(0)
      await restarted.close()
    })
  })
}
