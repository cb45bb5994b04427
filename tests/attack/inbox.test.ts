/** What else may lie in a watched folder: pipes, links, names that are none, folders that nobody may read. */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, mkdir, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import type { Models } from '../../models/port.ts'
import { chunksOfFile } from '../../producers/bytes.ts'
import { digitPng } from '../../producers/simulator/phantoms.ts'
import { watch } from '../../producers/watch/stage.ts'
import { openProducer } from '../harness/producer.ts'
import { openStores } from '../harness/stores.ts'
import { until } from '../harness/until.ts'
import { zipOf } from '../harness/zip.ts'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function start(before: (inbox: string) => Promise<void> = async () => undefined) {
  const stores = await openStores()
  closing.push(() => stores.close())
  const inbox = join(stores.folder, 'inbox')
  await mkdir(inbox)
  await before(inbox)
  const settings = { scanMs: 10, stableMs: 40, retryMs: 30 }
  const stage = await openProducer(watch, { stores, settings, deps: { models: { list: () => [] } as never as Models } })
  closing.push(() => stage.close())
  const received = (count: number) => until(`${count} images`, () => stage.published.length === count)
  return { ...stage, inbox, folder: stores.folder, received }
}

const isRoot = process.getuid?.() === 0

it('passes over pipes, sockets, links and folders that are named like images, and takes the images beside them', async () => {
  const { inbox, folder, received, published } = await start(async inbox => {
    execFileSync('mkfifo', [join(inbox, 'pipe.dcm')])
    await symlink('/etc/passwd', join(inbox, 'passwd.dcm'))
    await symlink('.', join(inbox, 'loop'))
    await symlink('/', join(inbox, 'root'))
    await symlink('/nowhere', join(inbox, 'dangling.png'))
    await mkdir(join(inbox, 'x.dcm/y.png'), { recursive: true })
    const server = createServer().listen(join(inbox, 'socket.png'))
    await once(server, 'listening')
    closing.push(() => server.close())
    await writeFile(join(inbox, 'x.dcm/inner.png'), await digitPng(1))
    await writeFile(join(inbox, 'a\nb\t"$(id)".png'), await digitPng(2))
  })
  await received(2)
  await until(
    'both are moved',
    () => existsSync(join(folder, 'done/x.dcm/inner.png')) && existsSync(join(folder, 'done/a\nb\t"$(id)".png')),
  )
  expect(published).toHaveLength(2)
  // A move is a link there, then none here.
  await until('it is there no more', () => !existsSync(join(inbox, 'a\nb\t"$(id)".png')))
  expect((await readdir(inbox)).sort()).toEqual(
    ['dangling.png', 'loop', 'passwd.dcm', 'pipe.dcm', 'root', 'socket.png', 'x.dcm'].sort(),
  )
})

it('takes files whose names, or whose folders, are not UTF-8', async () => {
  const { folder, received } = await start(async inbox => {
    await writeFile(
      Buffer.concat([Buffer.from(`${inbox}/`), Buffer.from('M\xfcller.png', 'latin1')]),
      await digitPng(1),
    )
    const odd = Buffer.concat([Buffer.from(`${inbox}/`), Buffer.from([0xff, 0xfe])])
    await mkdir(odd)
    await writeFile(Buffer.concat([odd, Buffer.from('/inner.png')]), await digitPng(2))
    await writeFile(join(inbox, 'Møller.png'), await digitPng(3))
  })
  await received(3)
  await until('all are moved', async () => (await readdir(join(folder, 'done')).catch(() => [])).length === 3)
  expect((await readdir(join(folder, 'done'))).sort()).toEqual(['Møller.png', 'Müller.png', 'ÿþ'].sort())
})

it('puts files away whose names are as long as names can be, and says why beside those that are refused', async () => {
  const [good, bad] = [`${'a'.repeat(251)}.png`, `${'ü'.repeat(125)}.png`]
  const { folder, received } = await start(async inbox => {
    await writeFile(join(inbox, good), await digitPng(1))
    await writeFile(join(inbox, bad), 'no image')
  })
  await received(1)
  await until('the other is refused', async () => (await readdir(join(folder, 'failed')).catch(() => [])).length === 2)
  const why = (await readdir(join(folder, 'failed'))).find(name => name.endsWith('.error.json')) ?? ''
  expect(JSON.parse(await readFile(join(folder, 'failed', why), 'utf8'))).toMatchObject({ code: 'not-an-image' })
  await until('the first is moved', async () => (await readdir(join(folder, 'done')).catch(() => [])).length === 1)
})

it.skipIf(isRoot)('takes the other files while a folder cannot be read (root reads all)', async () => {
  const { received, logs } = await start(async inbox => {
    await mkdir(join(inbox, 'Canary^Carla'))
    await chmod(join(inbox, 'Canary^Carla'), 0)
    await writeFile(join(inbox, 'a.png'), await digitPng(1))
  })
  await received(1)
  expect(logs()).toContain('cannot be read')
  expect(logs()).not.toContain('Canary')
})

it('goes on while folders come and go under its eyes', async () => {
  const { inbox, received, logs } = await start()
  for (let i = 0; i < 40; i++) {
    await mkdir(join(inbox, `${i}`))
    await writeFile(join(inbox, `${i}/x.part`), 'not yet')
    await new Promise(resolve => setImmediate(resolve))
    await rm(join(inbox, `${i}`), { recursive: true })
  }
  await writeFile(join(inbox, 'a.png'), await digitPng(1))
  await received(1)
  expect(logs()).not.toContain('cannot be read')
})

it('waits for no pipe and follows no link that has taken the place of a file since it was looked at', async () => {
  const { folder } = await start()
  execFileSync('mkfifo', [join(folder, 'pipe')])
  await symlink('/etc/passwd', join(folder, 'link'))
  const read = async (name: string) => {
    for await (const _ of chunksOfFile(join(folder, name)));
  }
  await expect(read('pipe')).rejects.toMatchObject({ code: 'not-an-image' })
  await expect(read('link')).rejects.toMatchObject({ code: 'truncated', message: 'the file cannot be opened' })
  await expect(read('Canary^Carla')).rejects.toMatchObject({ code: 'truncated', message: 'the file cannot be opened' })
})

it.skipIf(process.platform !== 'linux')(
  'keeps no file open that it has done with: images, archives, rubbish (looks in /proc)',
  async () => {
    const { inbox, folder, received } = await start()
    const opened = async () => {
      const links = await Promise.all(
        (await readdir('/proc/self/fd')).map(fd => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
      )
      return links.filter(path => path.startsWith(folder) && /inbox|done|failed/.test(path))
    }
    for (let i = 0; i < 10; i++) {
      await writeFile(join(inbox, `${i}.zip`), zipOf({ 'a.png': await digitPng(i) }))
      await writeFile(join(inbox, `${i}.txt`), 'no image')
      await writeFile(join(inbox, `cut-${i}.zip`), 'PK\x03\x04 and no more')
    }
    await received(10)
    await until('all are put away', async () => (await readdir(inbox)).length === 0)
    await until('none is open', async () => (await opened()).length === 0)
  },
)
