/** Builds the page when its sources changed since the last build. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { promisify } from 'node:util'

const root = import.meta.dirname

const hashFile = join(root, 'dist', '.hash')

/**
 * Builds `web/dist` with Vite, unless it was built from these very sources before. Two processes that start at once may
 * both build; both write the same files.
 * @throws Error that names the file and what is wrong with it
 */
export async function buildPageIfChanged(): Promise<'built' | 'current'> {
  const hash = await sourceHash()
  if ((await readIfThere(hashFile)) === hash && (await readIfThere(join(root, 'dist', 'index.html'))) !== null) {
    return 'current'
  }
  // A build that is cut short must not pass for a whole one: the hash goes first and comes back last.
  await rm(hashFile, { force: true })
  // In a process of its own: what the bundler takes, 160 MB, it would keep as long as this one lives. Under a test runner
  // NODE_ENV is "test", and Vite would bundle React's development build.
  const env = { ...process.env, NODE_ENV: 'production' }
  try {
    await promisify(execFile)(process.execPath, [join(root, 'vite-build.ts')], { env })
  } catch (error) {
    throw new Error(`The page could not be built: ${reason(error)}`, { cause: error })
  }
  await mkdir(join(root, 'dist'), { recursive: true })
  await writeFile(hashFile, hash)
  return 'built'
}

/**
 * SHA-256 over the names and contents of what is bundled, and of the lock file: each package says what it needs itself,
 * so which of them end up in the page is not told from their names. hex
 */
async function sourceHash(): Promise<string> {
  const hash = createHash('sha256')
  // Of the server the page shares words with, and no other code (tests/imports.test.ts).
  const folders = ['src', 'public', '../schemas']
  const found = await Promise.all(folders.map(folder => filesUnder(join(root, folder))))
  const single = ['index.html', 'vite.config.ts', 'vite-build.ts', 'tsconfig.json']
  const files = single.map(name => join(root, name)).concat(...found)
  const sources = files.filter(file => !/\.test\.tsx?$/.test(file)).sort()
  const contents = await Promise.all(sources.map(file => readFile(file)))
  sources.forEach((file, i) => {
    const bytes = contents[i] ?? Buffer.alloc(0)
    hash.update(`${relative(root, file).replaceAll('\\', '/')}\0${bytes.length}\0`).update(bytes)
  })
  hash.update((await readIfThere(join(root, '../package-lock.json'))) ?? '')
  return hash.digest('hex')
}

async function filesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
}

async function readIfThere(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (isObject(error) && error.code === 'ENOENT') return null
    throw error
  }
}

/** What the build wrote to stderr, where there is such a thing: it names the file and what is wrong with it. */
function reason(error: unknown): string {
  if (isObject(error) && typeof error.stderr === 'string' && error.stderr !== '') return error.stderr
  return error instanceof Error ? error.message : String(error)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
