/** What ONNX Runtime keeps and tells of its use goes by the home folder: nothing may come into it. */
import { readdirSync } from 'node:fs'
import { afterEach, expect, it, vi } from 'vitest'
import { ask, enginesPerTest } from '../../../tests/harness/engines.ts'
import { png } from '../../testing.ts'

const { open, folder } = enginesPerTest()
afterEach(() => vi.unstubAllEnvs())

it('keeps no identifier of the machine, and nothing to be told', async () => {
  const home = folder()
  vi.stubEnv('HOME', home)
  vi.stubEnv('XDG_CACHE_HOME', undefined)
  vi.stubEnv('ORT_DISABLE_TELEMETRY', undefined)
  // As a hospital has it, not a test or a build.
  for (const name of Object.keys(process.env).filter(name => /^(CI|GITHUB_|VITEST)/.test(name)))
    vi.stubEnv(name, undefined)
  const opened = await open(['mean'], { workers: 2 })
  expect((await ask(opened, 'mean', opened.objects.put(await png(51)))).score).toBeCloseTo(0.2, 6)
  await opened.engine.close()
  expect(readdirSync(home)).toEqual([])
})
