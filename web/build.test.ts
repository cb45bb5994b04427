/** The page's build, of a copy of the real one with as small a page as can be. */
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'

const own = import.meta.dirname
let root: string
let build: typeof import('./build.ts')['buildPageIfChanged']
const hashFile = () => join(root, 'web/dist/.hash')

/** All that is to be served, in one text. */
async function built(): Promise<string> {
  const files = await readdir(join(root, 'web/dist'), { recursive: true, withFileTypes: true })
  const bundles = files.filter(({ name }) => name.endsWith('.js'))
  return (await Promise.all(bundles.map(file => readFile(join(file.parentPath, file.name), 'utf8')))).join()
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'raylog-page-'))
  for (const folder of ['web/src', 'web/public', 'schemas']) await mkdir(join(root, folder), { recursive: true })
  for (const file of ['build.ts', 'vite-build.ts', 'vite.config.ts', 'tsconfig.json'])
    await cp(join(own, file), join(root, 'web', file))
  // The page's own settings of TypeScript extend these.
  for (const file of ['package.json', 'package-lock.json', 'tsconfig.json'])
    await cp(join(own, '..', file), join(root, file))
  await symlink(join(own, '../node_modules'), join(root, 'node_modules'))
  await writeFile(join(root, 'web/index.html'), '<script type="module" src="/src/main.ts"></script>')
  await writeFile(join(root, 'web/src/main.ts'), `import { word } from '../../schemas/words.ts'\nconsole.log(word)`)
  await writeFile(join(root, 'schemas/words.ts'), `export const word = 'heron'`)
  const copy: typeof import('./build.ts') = await import(pathToFileURL(join(root, 'web/build.ts')).href)
  build = copy.buildPageIfChanged
})
afterAll(() => rm(root, { recursive: true, force: true }))

it('builds once, and again when a source changed, the words of the schemas included', async () => {
  expect(await build()).toBe('built')
  expect(await built()).toContain('heron')
  expect(await build()).toBe('current')
  // Tests of the page are not in it.
  await writeFile(join(root, 'web/src/main.test.ts'), 'export {}')
  expect(await build()).toBe('current')
  await writeFile(join(root, 'schemas/words.ts'), `export const word = 'plover'`)
  expect(await build()).toBe('built')
  expect(await built()).toContain('plover')
  expect(await build()).toBe('current')
})

it('says which file is wrong when it fails, and does not pass for built afterwards', async () => {
  const source = join(root, 'web/src/main.ts')
  const good = await readFile(source, 'utf8')
  await writeFile(source, `${good}\nimport './is-not-there.ts'`)
  await expect(build()).rejects.toThrow(/could not be built.*is-not-there/s)
  await expect(readFile(hashFile())).rejects.toMatchObject({ code: 'ENOENT' })
  // The very sources of the last build that went well are built again: what is in the folder now nobody knows.
  await writeFile(source, good)
  expect(await build()).toBe('built')
  await readFile(hashFile())
})
