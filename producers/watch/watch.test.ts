import { mkdir, readdir, readFile, rename, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import type { Models } from '../../models/port.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { HandClock } from '../../tests/harness/hand-clock.ts'
import { type OpenProducer, openProducer, type ProducerOptions } from '../../tests/harness/producer.ts'
import { openStores, type Stores } from '../../tests/harness/stores.ts'
import { until } from '../../tests/harness/until.ts'
import { zipOf } from '../../tests/harness/zip.ts'
import { chestDicom, digitPng } from '../simulator/phantoms.ts'
import { watch } from './stage.ts'

const models = { list: () => [{ manifest: { name: 'digits' } }] } as Models

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function newStores(): Promise<Stores> {
  const stores = await openStores()
  closing.push(() => stores.close())
  return stores
}

/** Scans often, and takes files that have not changed for 40 ms. */
async function start(stores: Stores, options: ProducerOptions = {}): Promise<OpenProducer> {
  const settings = { scanMs: 10, stableMs: 40, retryMs: 30, ...Object(options.settings) }
  const stage = await openProducer(watch, { ...options, stores, settings, deps: { models } })
  closing.push(() => stage.close())
  return stage
}

async function drop(stores: Stores, name: string, bytes: Uint8Array): Promise<string> {
  const path = join(stores.folder, 'inbox', name)
  await mkdir(join(path, '..'), { recursive: true })
  await writeFile(path, bytes)
  return path
}

/** What is there whole: not what is written at this moment. */
async function filesIn(stores: Stores, folder: string): Promise<string[]> {
  const path = join(stores.folder, folder)
  const entries = await readdir(path, { recursive: true, withFileTypes: true }).catch(() => [])
  return entries
    .filter(entry => entry.isFile() && !entry.name.endsWith('.part'))
    .map(entry => join(entry.parentPath, entry.name).slice(path.length + 1))
    .sort()
}

const ended = (stores: Stores, folder: string, count: number) =>
  until(`${count} files in ${folder}`, async () => (await filesIn(stores, folder)).length === count)

/** A move is a link there, then none here. */
const isLeft = (stores: Stores, files: string[]) =>
  until(`the inbox has no more than ${files}`, async () => (await filesIn(stores, 'inbox')).join() === files.join())

describe('the inbox', () => {
  it('takes what is there at the start and what comes later, and moves it with its folders', async () => {
    const stores = await newStores()
    await drop(stores, 'before.dcm', chestDicom(1))
    const stage = await start(stores)
    await drop(stores, 'monday/ward 3/later.png', await digitPng(1))
    await ended(stores, 'done', 2)
    expect(await filesIn(stores, 'done')).toEqual(['before.dcm', 'monday/ward 3/later.png'])
    await isLeft(stores, [])
    expect(stage.published.map(event => event.source)).toEqual(Array(2).fill({ kind: 'watch', peer: 'inbox' }))
    expect(stage.endpoints.inbox).toEqual({ folder: join(stores.folder, 'inbox') })
  })

  it('asks for the model whose name a sub-folder has', async () => {
    const stores = await newStores()
    const stage = await start(stores)
    await drop(stores, 'digits/a.png', await digitPng(1))
    await drop(stores, 'others/b.png', await digitPng(2))
    await ended(stores, 'done', 2)
    expect(stage.published.map(event => event.requested).sort()).toEqual([[], ['digits']])
  })

  it('waits until a file is complete', async () => {
    const stores = await newStores()
    const bytes = chestDicom(1)
    const clock = new HandClock(Date.now())
    const stage = await start(stores, { clock })
    const scan = async () => {
      await until('it waits for its next scan', () => clock.sleeping.includes(10))
      clock.move(10)
      await until('it has scanned', () => clock.sleeping.includes(10))
    }
    // Not taken while it is named as unfinished, however long it stays as it is …
    const part = await drop(stores, 'a.dcm.part', bytes.subarray(0, 50_000))
    const hidden = await drop(stores, '.b.dcm', bytes)
    const old = new Date(Date.now() - 60_000)
    await utimes(part, old, old)
    await utimes(hidden, old, old)
    // … nor while it is empty, or still changes: here it is written a piece every scan.
    await drop(stores, 'empty.dcm', Buffer.alloc(0))
    for (let size = 10_000; size < bytes.length; size += 10_000) {
      await drop(stores, 'c.dcm', bytes.subarray(0, size))
      await scan()
    }
    await drop(stores, 'c.dcm', bytes)
    await writeFile(part, bytes)
    await rename(part, part.replace('.part', ''))
    for (let scans = 0; scans < 6; scans++) await scan()
    await ended(stores, 'done', 2)
    expect(await filesIn(stores, 'done')).toEqual(['a.dcm', 'c.dcm'])
    await isLeft(stores, ['.b.dcm', 'empty.dcm'])
    expect(await filesIn(stores, 'failed')).toEqual([])
    expect(stage.published).toHaveLength(2)
  })

  it('puts what is no image aside, with what is wrong and what to do', async () => {
    const stores = await newStores()
    const stage = await start(stores)
    await drop(stores, 'digits/DOE^JANE.txt', Buffer.from('not an image'))
    await ended(stores, 'failed', 2)
    expect(await filesIn(stores, 'failed')).toEqual(['digits/DOE^JANE.txt', 'digits/DOE^JANE.txt.error.json'])
    const told: unknown = JSON.parse(
      await readFile(join(stores.folder, 'failed/digits/DOE^JANE.txt.error.json'), 'utf8'),
    )
    expect(told).toEqual({
      code: 'not-an-image',
      title: expect.any(String),
      message: expect.any(String),
      remedy: expect.any(String),
    })
    // Files are often called after people.
    expect(stage.logs()).toContain('not-an-image')
    expect(stage.logs()).not.toContain('DOE')
  })

  it('replaces no file that is there already', async () => {
    const stores = await newStores()
    await start(stores)
    for (let i = 1; i <= 3; i++) {
      await drop(stores, 'a.png', await digitPng(i))
      await ended(stores, 'done', i)
      await isLeft(stores, []) // else the next would be written into this one
    }
    expect(await filesIn(stores, 'done')).toEqual(['a-2.png', 'a-3.png', 'a.png'])
  })

  it('leaves files where they are while the disk is full, and takes them when there is room', async () => {
    const stores = await newStores()
    let full = true
    const stage = await start(stores, {
      publishing() {
        if (full) throw new RaylogError('store-full', 'no space')
      },
    })
    await drop(stores, 'a.png', await digitPng(1))
    await until('it was refused twice', async () => (await stage.received('store-full')) >= 2)
    expect(await filesIn(stores, 'inbox')).toEqual(['a.png'])
    full = false
    await ended(stores, 'done', 1)
    expect(stage.published).toHaveLength(1)
  })

  it('takes a file again that was received but not moved when the process died: the same instance', async () => {
    const stores = await newStores()
    const bytes = await digitPng(1)
    const first = await start(stores)
    await drop(stores, 'a.png', bytes)
    await ended(stores, 'done', 1)
    await first.close()
    // As a kill between the two leaves it.
    await drop(stores, 'a.png', bytes)
    const second = await start(stores)
    await ended(stores, 'done', 2)
    expect(second.published[0]?.id).toBe(first.published[0]?.id)
    expect(await second.objectCount()).toBe(1)
  })

  it('makes no second event of a file that it cannot move', async () => {
    const stores = await newStores()
    // A file stands where the folder should be.
    await writeFile(join(stores.folder, 'done'), '')
    const stage = await start(stores)
    await drop(stores, 'a.png', await digitPng(1))
    await until('the move failed twice', () => stage.logs().split('cannot be read or moved').length > 2)
    expect(stage.published).toHaveLength(1)
    await rename(join(stores.folder, 'done'), join(stores.folder, 'not-done'))
    await ended(stores, 'done', 1)
    expect(stage.published).toHaveLength(1)
  })

  it('unpacks archives; one with a bad entry is put aside with what is wrong, its good ones received', async () => {
    const stores = await newStores()
    const stage = await start(stores)
    await drop(stores, 'good.zip', zipOf({ 'a.png': await digitPng(1), 'b.dcm': chestDicom(1) }))
    await ended(stores, 'done', 1)
    expect(stage.published).toHaveLength(2)
    await drop(stores, 'mixed.zip', zipOf({ 'a.png': await digitPng(2), 'b.txt': Buffer.from('no image') }))
    await ended(stores, 'failed', 2)
    expect(stage.published).toHaveLength(3)
    const told: unknown = JSON.parse(await readFile(join(stores.folder, 'failed/mixed.zip.error.json'), 'utf8'))
    expect(told).toMatchObject({ stored: 1, entries: [{ file: 'mixed.zip/b.txt', code: 'not-an-image' }] })
  })

  it('takes a thousand files that are dropped at once, no more at a time than it may', async () => {
    const stores = await newStores()
    let now = 0
    let most = 0
    const stage = await start(stores, {
      settings: { concurrency: 4 },
      async publishing() {
        most = Math.max(most, ++now)
        await new Promise(resolve => setImmediate(resolve))
        now--
      },
    })
    const png = await digitPng(1)
    // A byte after the end of a PNG changes its digest, and nothing else.
    await Promise.all(
      Array.from({ length: 1_000 }, (_, i) => drop(stores, `${i}.png`, Buffer.concat([png, Buffer.from(String(i))]))),
    )
    await ended(stores, 'done', 1_000)
    expect(new Set(stage.published.map(event => event.id)).size).toBe(1_000)
    expect(most).toBeLessThanOrEqual(4)
  })

  it('deletes what it received where the settings say so', async () => {
    const stores = await newStores()
    const stage = await start(stores, { settings: { afterwards: 'delete' } })
    const path = await drop(stores, 'a.png', await digitPng(1))
    await until('it is gone', () =>
      stat(path).then(
        () => false,
        () => true,
      ),
    )
    expect(stage.published).toHaveLength(1)
    expect(await filesIn(stores, 'done')).toEqual([])
  })
})
