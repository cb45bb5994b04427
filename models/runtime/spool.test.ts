import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { expect, it } from 'vitest'
import { RaylogError } from '../../schemas/errors.ts'
import { temporaryFolder } from '../testing.ts'
import { createSpool } from './spool.ts'

const remote = (stream: () => Promise<Readable>) => ({ local: () => undefined, stream })

it('hands on the path of an object that has one', async () => {
  using root = temporaryFolder()
  const objects = { local: () => '/somewhere', stream: async () => Readable.from([]) }
  const { path, release } = await createSpool(objects, join(root.path, 'spool'))('k')
  await release()
  expect(path).toBe('/somewhere')
  expect(existsSync(join(root.path, 'spool'))).toBe(false)
})

it('gives any other a file, each reader its own, until it is released', async () => {
  using root = temporaryFolder()
  const spool = createSpool(
    remote(async () => Readable.from([Buffer.from('ab'), Buffer.from('c')])),
    join(root.path, 'spool'),
  )
  const [one, two] = [await spool('k'), await spool('k')]
  await one.release()
  expect(existsSync(one.path)).toBe(false)
  expect(readFileSync(two.path, 'utf8')).toBe('abc')
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
  await expect(gone('k')).rejects.toMatchObject({ code: 'object-missing' })
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
  await expect(broken('k')).rejects.toMatchObject({ code: 'store-unavailable' })
  expect(readdirSync(folder)).toEqual([])
})
