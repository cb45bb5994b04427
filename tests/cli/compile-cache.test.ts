import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startRaylog } from '../harness/raylog.ts'
import { until } from '../harness/until.ts'

const root = resolve(import.meta.dirname, '../..')
const node = join(root, 'node_modules/.bin/node')
let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'raylog-compiled-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

function schema(cache: string): string {
  const env = { ...process.env, NODE_COMPILE_CACHE: cache }
  return execFileSync(node, ['cli/main.ts', 'config', '--schema'], { cwd: root, env, encoding: 'utf8' })
}

it('keeps what was compiled, and says the same with it', () => {
  const cache = join(folder, 'kept')
  const first = schema(cache)
  expect(readdirSync(cache, { recursive: true }).length).toBeGreaterThan(20)
  expect(schema(cache)).toBe(first)
})

it('keeps it beside the code, of threads and workers too', () => {
  const script = `await import('./cli/compile-cache.ts')
    const { getCompileCacheDir } = await import('node:module')
    console.log(getCompileCacheDir() + '\\n' + process.env.NODE_COMPILE_CACHE)`
  const { NODE_COMPILE_CACHE: _, ...env } = process.env
  const args = ['--input-type=module', '-e', script]
  const [used = '', handedOn = ''] = execFileSync(node, args, { cwd: root, env, encoding: 'utf8' }).split('\n')
  const beside = join(root, 'node_modules/.cache/compiled')
  expect(used.startsWith(beside)).toBe(true)
  expect(handedOn).toBe(beside)
})

it('goes without where nothing can be written', () => {
  const file = join(folder, 'file')
  writeFileSync(file, '')
  expect(schema(join(file, 'cache'))).toBe(schema(join(folder, 'kept')))
})

it('keeps it as soon as it is ready: a process that is killed has not compiled in vain', async () => {
  const cache = join(folder, 'killed')
  await using raylog = await startRaylog({ env: { NODE_COMPILE_CACHE: cache } })
  // More than the threads and workers keep that have ended by now.
  await until('it is kept', () => readdirSync(cache, { recursive: true }).length > 500)
  expect(raylog.alive).toBe(true)
})
