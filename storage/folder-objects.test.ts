import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { openFolderObjects } from './folder-objects.ts'
import { shared } from './folder-shards.ts'
import type { ObjectStore } from './objects.ts'

describe('the folder object store', () => {
  let folder: string
  let store: ObjectStore
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'raylog-objects-'))
    store = await openFolderObjects({ folder })
  })
  afterEach(async () => {
    await store.close()
    await rm(folder, { recursive: true, force: true })
  })

  const pathOf = (key: string) => {
    const path = store.local(key)
    if (!path) throw new Error('no path')
    return path
  }

  it('gives a path that a worker can read, in a file that only its user may', async () => {
    const { key } = await store.put(Buffer.from('pixels'), 'text/plain')
    expect(await readFile(pathOf(key), 'utf8')).toBe('pixels')
    expect((await stat(pathOf(key))).mode & 0o077).toBe(0)
  })

  it('takes a folder that is gone, as of a share that is not mounted, for an outage and not for a missing object', async () => {
    const { key } = await store.put(Buffer.from('pixels'), 'text/plain')
    await rename(dirname(pathOf(key)), join(folder, 'away'))
    const ways = [
      () => store.get(key),
      () => store.range(key, { start: 0, end: 1 }),
      () => store.stream(key),
      () => store.stat(key),
    ]
    // One by one: a promise that is rejected before anyone looks at it counts as unhandled.
    for (const ask of ways) await expect(ask()).rejects.toMatchObject({ code: 'store-unavailable' })
    await rename(join(folder, 'away'), dirname(pathOf(key)))
    expect((await store.get(key)).toString()).toBe('pixels')
  })

  it('tells of an object that the disk has damaged, and heals it when the image is sent again', async () => {
    for (const size of [2000, 3_000_000]) {
      const bytes = randomBytes(size)
      const { key } = await store.put(bytes, 'text/plain')
      await writeFile(pathOf(key), randomBytes(size))
      await expect(store.get(key)).rejects.toMatchObject({ code: 'object-damaged' })
      await store.put(bytes, 'text/plain')
      expect((await store.get(key)).equals(bytes)).toBe(true)
    }
  })

  it('renews the time of an object that is put again, so that a sweep of orphans spares it', async () => {
    const { key } = await store.put(Buffer.from('once'), 'text/plain')
    await utimes(pathOf(key), new Date(0), new Date(0))
    expect((await store.stat(key))?.modifiedAt).toBe(0)
    const before = Date.now()
    await store.put(Buffer.from('once'), 'text/plain')
    // By the clock tick of the file system.
    expect((await store.stat(key))?.modifiedAt).toBeGreaterThan(before - 1_000)
  })

  it('says store-unavailable, to be waited out, while its folder is away, and works when it is back', async () => {
    const { key } = await store.put(Buffer.from('there'), 'text/plain')
    await rename(folder, `${folder}-away`)
    await expect(store.check()).rejects.toMatchObject({ code: 'store-unavailable' })
    await expect(store.put(Buffer.from('more'), 'text/plain')).rejects.toMatchObject({ code: 'store-unavailable' })
    await rename(`${folder}-away`, folder)
    await store.check()
    expect((await store.get(key)).toString()).toBe('there')
  })

  it('sweeps what dead processes left, and spares what lives or belongs to another machine', async () => {
    const incoming = join(folder, 'incoming')
    const writer = await store.writer()
    await writer.write(randomBytes(2_000_000))
    const mine = await readdir(incoming)
    const host = mine[0]?.split('-')[0] ?? hostname()
    const old = new Date(Date.now() - 3 * 24 * 3600 * 1000)
    await writeFile(join(incoming, `${host}-${2 ** 22 + 1}-dead`), 'x')
    await writeFile(join(incoming, `${host}-${process.pid}-before`), 'x')
    await utimes(join(incoming, `${host}-${process.pid}-before`), old, new Date(Date.now() - 3600 * 1000))
    await writeFile(join(incoming, `00000000-${2 ** 22 + 1}-stranger`), 'x')
    await writeFile(join(incoming, '00000000-1-forgotten'), 'x')
    await utimes(join(incoming, '00000000-1-forgotten'), old, old)
    const again = await openFolderObjects({ folder })
    expect((await readdir(incoming)).sort()).toEqual([...mine, `00000000-${2 ** 22 + 1}-stranger`].sort())
    await again.close()
    expect((await writer.commit('text/plain')).bytes).toBe(2_000_000)
  })

  it('spares what it has itself, however old', async () => {
    const incoming = join(folder, 'incoming')
    const writer = await store.writer()
    await writer.write(randomBytes(2_000_000))
    const [mine = ''] = await readdir(incoming)
    const old = new Date(Date.now() - 3 * 24 * 3600 * 1000)
    await utimes(join(incoming, mine), old, old)
    const uptime = vi.spyOn(process, 'uptime').mockReturnValue(4 * 24 * 3600)
    const again = await openFolderObjects({ folder }).finally(() => uptime.mockRestore())
    expect(await readdir(incoming)).toEqual([mine])
    await again.close()
    await writer.abort()
  })

  it('takes nothing more once it is closed', async () => {
    await store.close()
    await expect(store.put(Buffer.from('late'), 'text/plain')).rejects.toMatchObject({ code: 'stopping' })
  })

  it('does not show a file that is no object', async () => {
    await writeFile(join(folder, 'ab', 'notes.txt'), 'x')
    for await (const found of store.list()) expect.unreachable(found.key)
  })
})

/** A file system of 4 MB: only where this process may mount one. */
function mountSmall(path: string): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', path], { stdio: 'ignore' })
    return true
  } catch (thrown) {
    return thrown === undefined // no right to mount, or no mount on this system
  }
}

describe('the folder object store on a disk that is full', () => {
  let folder: string
  let mounted = false
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'raylog-full-'))
    mounted = mountSmall(folder)
  })
  afterAll(async () => {
    if (mounted) execFileSync('umount', [folder])
    await rm(folder, { recursive: true, force: true })
  })

  it('says store-full, leaves no half file, and goes on when there is room (needs the right to mount)', async context => {
    if (!mounted) return context.skip('this process may not mount a file system')
    const store = await openFolderObjects({ folder })
    const first = await store.put(randomBytes(2_000_000), 'text/plain')
    await expect(store.put(randomBytes(3_000_000), 'text/plain')).rejects.toMatchObject({ code: 'store-full' })
    const writer = await store.writer()
    await expect(writer.write(randomBytes(3_000_000))).rejects.toMatchObject({ code: 'store-full' })
    await expect(writer.commit('text/plain')).rejects.toThrow()
    expect(await readdir(join(folder, 'incoming'))).toEqual([])
    expect(await store.get(first.key)).toHaveLength(2_000_000)

    await store.check()
    const filler = join(folder, 'filler')
    await writeFile(filler, randomBytes(4_000_000)).catch(error => expect(error.code).toBe('ENOSPC'))
    await expect(store.check()).rejects.toMatchObject({ code: 'store-full' })
    await rm(filler)
    await store.check()
    expect((await store.put(randomBytes(1_000_000), 'text/plain')).bytes).toBe(1_000_000)
    await store.close()
  })
})

describe('a shared sync', () => {
  it('answers each call by a run that began after it, and many calls by one', async () => {
    const runs: { finish: () => void }[] = []
    const sync = shared(() => new Promise<void>(resolve => runs.push({ finish: resolve })))
    const answered: string[] = []
    const first = sync().then(() => answered.push('first'))
    const later = [sync(), sync(), sync()].map(call => call.then(() => answered.push('later')))
    expect(runs).toHaveLength(1)
    runs[0]?.finish()
    await first
    await expect.poll(() => runs.length).toBe(2)
    expect(answered).toEqual(['first'])
    runs[1]?.finish()
    await Promise.all(later)
    expect(answered).toEqual(['first', 'later', 'later', 'later'])
    expect(runs).toHaveLength(2)
  })

  it('runs again after a failure', async () => {
    let runs = 0
    const sync = shared(async () => {
      runs += 1
      if (runs === 1) throw new Error('disk')
    })
    const first = sync()
    const second = sync()
    await expect(first).rejects.toThrow('disk')
    await second
    await sync()
  })
})
