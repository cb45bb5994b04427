import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { CounterOperations } from './fixtures/counter-worker.ts'
import { openThread, type SqliteThread, type ThreadOptions } from './thread.ts'

const range = (count: number): number[] => Array.from({ length: count }, (_, n) => n)

describe('a SQLite thread', () => {
  let folder: string
  const open: SqliteThread<CounterOperations>[] = []
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'raylog-thread-'))
  })
  afterEach(async () => {
    await Promise.all(open.splice(0).map(thread => thread.close()))
    await rm(folder, { recursive: true })
  })

  async function start(more: Partial<ThreadOptions> = {}): Promise<SqliteThread<CounterOperations>> {
    const thread = await openThread<CounterOperations>({
      module: new URL('./fixtures/counter-worker.ts', import.meta.url),
      data: { file: join(folder, 'counter.sqlite') },
      unavailable: 'log-unavailable',
      ...more,
    })
    open.push(thread)
    return thread
  }

  it('commits together what gathers while it is busy', async () => {
    const thread = await start()
    const busy = thread.call('block', 50)
    await Promise.all([busy, ...range(1000).map(n => thread.call('add', n))])
    expect(thread.commits()).toBeLessThanOrEqual(3)
    expect(await thread.call('all', undefined)).toEqual(range(1000))
  })

  it('takes back a request that fails, and nothing of its neighbours', async () => {
    const thread = await start()
    const results = await Promise.allSettled(
      range(30).map(n => (n % 3 === 1 ? thread.call('addAndFail', n) : thread.call('add', n))),
    )
    for (const [n, result] of results.entries()) {
      expect(result.status).toBe(n % 3 === 1 ? 'rejected' : 'fulfilled')
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'not-found' })
    }
    expect(await thread.call('all', undefined)).toEqual(range(30).filter(n => n % 3 !== 1))
    expect(thread.commits()).toBeLessThan(10)
  })

  it('tells the database to read again what was rolled back', async () => {
    const thread = await start()
    await expect(thread.call('addAndFail', 1)).rejects.toMatchObject({ code: 'not-found' })
    // Of the whole transaction first, then of the request that fails by itself too.
    expect(await thread.call('add', 2)).toBe(2)
  })

  it('rejects what waits when the thread dies, and opens the database again for the next call', async () => {
    const hellos: unknown[] = []
    const thread = await start({ opened: hello => hellos.push(hello) })
    await thread.call('add', 1)
    const waiting = await Promise.allSettled([
      thread.call('die', 2),
      thread.call('add', 3),
      thread.call('all', undefined),
    ])
    for (const result of waiting.slice(0, 2)) expect(result).toMatchObject({ reason: { code: 'log-unavailable' } })
    await thread.call('add', 4)
    expect(await thread.call('all', undefined)).toEqual([1, 4])
    expect(hellos).toEqual([0, 1])
  })

  it('opens the database again after a failed write to the disk', async () => {
    const thread = await start()
    await thread.call('add', 1)
    await expect(thread.call('ioError', undefined)).rejects.toMatchObject({ code: 'log-unavailable' })
    await expect
      .poll(() =>
        thread.call('add', 2).then(
          () => 'added',
          error => error.code,
        ),
      )
      .toBe('added')
    expect((await thread.call('all', undefined))[0]).toBe(1)
  })

  it('is unavailable while the file cannot be opened, and there again by itself when it can', async () => {
    const file = join(folder, 'counter.sqlite')
    const before = await start()
    await before.call('add', 1)
    await before.close()
    await copyFile(file, `${file}.good`)
    const thread = await start()
    await thread.kill()
    await writeFile(file, 'this is not a database'.repeat(1000))
    const answer = () => thread.call('all', undefined).catch(error => error.code)
    expect(await answer()).toBe('log-unavailable')
    expect(await answer()).toBe('log-unavailable')
    await copyFile(`${file}.good`, file)
    await expect.poll(answer, { timeout: 10_000 }).toEqual([1])
  })

  it('refuses with store-full while there is no room, and goes on by itself when there is', async () => {
    const thread = await start()
    await thread.call('add', 1)
    await thread.call('limit', 50)
    const refused = await Promise.allSettled([thread.call('fill', 1_000_000), thread.call('add', 2)])
    expect(refused[0]).toMatchObject({ reason: { code: 'store-full' } })
    await thread.call('add', 3)
    await thread.call('limit', 100_000)
    await thread.call('fill', 1_000_000)
    const kept = await thread.call('all', undefined)
    expect(kept.filter(n => n !== 2)).toEqual([1, 3])
    expect(kept.includes(2)).toBe(refused[1].status === 'fulfilled')
  })

  it('tells a second opener at once that the data are in use, and lets it in afterwards', async () => {
    const first = await start()
    await expect(start()).rejects.toMatchObject({ code: 'data-in-use' })
    await first.close()
    const second = await start()
    await second.call('add', 1)
  })

  it('refuses as busy when too much waits', async () => {
    const thread = await start({ maxPendingBytes: 1000 })
    const first = thread.call('add', 1, 600)
    await expect(thread.call('add', 2, 600)).rejects.toMatchObject({ code: 'busy' })
    await first
    await thread.call('add', 3, 600)
    expect(await thread.call('all', undefined)).toEqual([1, 3])
  })

  it('does what was asked before it was closed, and nothing after', async () => {
    const thread = await start()
    const before = Promise.all(range(10).map(n => thread.call('add', n)))
    const closed = thread.close()
    await expect(thread.call('add', 99)).rejects.toMatchObject({ code: 'stopping' })
    await before
    await closed
    expect(await (await start()).call('all', undefined)).toEqual(range(10))
  })
})
