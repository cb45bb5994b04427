import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { expect, it } from 'vitest'
import { RaylogError } from '../../schemas/errors.ts'
import { temporaryFolder } from '../testing.ts'
import { type Borrowed, createSpool } from './spool.ts'

const pathOf = ({ from }: Borrowed) => ('path' in from ? from.path : '')
const remote = (stream: () => Promise<Readable>) => ({ local: () => undefined, stream })

it('hands on the path of an object that has one', async () => {
  using root = temporaryFolder()
  const objects = { local: () => '/somewhere', stream: async () => Readable.from([]) }
  const { from, release } = await createSpool(objects, join(root.path, 'spool'))({ key: 'k', bytes: 3 })
  await release()
  expect(from).toEqual({ path: '/somewhere' })
  expect(existsSync(join(root.path, 'spool'))).toBe(false)
})

it('hands on where an object stands that has no file yet, until it is released', async () => {
  using root = temporaryFolder()
  let released = 0
  const lent = { path: '/segment', start: 4_096, bytes: 3, release: () => void released++ }
  const objects = { local: () => undefined, lend: () => lent, stream: async () => Readable.from([]) }
  const { from, release } = await createSpool(objects, join(root.path, 'spool'))({ key: 'k', bytes: 3 })
  expect(from).toEqual({ path: '/segment', part: { start: 4_096, bytes: 3 } })
  expect(released).toBe(0)
  await release()
  expect(released).toBe(1)
  expect(existsSync(join(root.path, 'spool'))).toBe(false)
})

it('gives any other a file, each reader its own, until it is released', async () => {
  using root = temporaryFolder()
  const spool = createSpool(
    remote(async () => Readable.from([Buffer.from('ab'), Buffer.from('c')])),
    join(root.path, 'spool'),
  )
  const [one, two] = [await spool({ key: 'k', bytes: 3 }), await spool({ key: 'k', bytes: 3 })]
  await one.release()
  expect(existsSync(pathOf(one))).toBe(false)
  expect(readFileSync(pathOf(two), 'utf8')).toBe('abc')
  await two.release()
  expect(readdirSync(join(root.path, 'spool'))).toEqual([])
})

it('leaves nothing of an object that is gone, or that breaks off', async () => {
  using root = temporaryFolder()
  const folder = join(root.path, 'spool')
  const gone = createSpool(
    remote(() => Promise.reject(new RaylogError('object-missing', 'gone'))),
    folder,
  )
  await expect(gone({ key: 'k', bytes: 3 })).rejects.toMatchObject({ code: 'object-missing' })
  const broken = createSpool(
    remote(async () =>
      Readable.from(
        (async function* () {
          yield Buffer.from('ab')
          throw new RaylogError('store-unavailable', 'the store went away')
        })(),
      ),
    ),
    folder,
  )
  await expect(broken({ key: 'k', bytes: 3 })).rejects.toMatchObject({ code: 'store-unavailable' })
  expect(readdirSync(folder)).toEqual([])
})

it('hands on a signed URL where the store has one, but not of an object that would take a worker long', async () => {
  using root = temporaryFolder()
  const objects = {
    ...remote(async () => Readable.from([Buffer.from('abc')])),
    presign: async (key: string, seconds: number) => `https://s3/${key}?${seconds > 60 ? 'long' : 'short'}`,
  }
  const spool = createSpool(objects, join(root.path, 'spool'))
  expect(await spool({ key: 'k', bytes: 3 })).toMatchObject({ from: { url: 'https://s3/k?long' } })
  const large = await spool({ key: 'k', bytes: 100_000_000 })
  expect(readFileSync(pathOf(large), 'utf8')).toBe('abc')
  await large.release()
})
