/** A replay from the command line: the real commands beside a real Raylog with two versions of a model. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { census } from '../harness/census.ts'
import { command } from '../harness/command.ts'
import { startWithVersions } from '../pipeline/replay-kit.ts'

const images = 16
const erased = 12

describe('raylog replay, beside a running Raylog', { timeout: 120_000 }, () => {
  let system: Awaited<ReturnType<typeof startWithVersions>>
  let gone: string[]
  const on = (...args: string[]) => command(['--data', system.raylog.data, 'replay', ...args])
  const range = ['--model', 'pneumonia@2', '--from', '2026-01-01', '--to', '2100-01-01']
  const named = (text: string) => [...new Set(text.match(/in_[0-9a-f]{32}/g))]

  beforeAll(async () => {
    system = await startWithVersions()
    await system.send(Array.from({ length: images }, (_, n) => n + 1))
    const { instances } = await census(system.raylog)
    const some = instances.slice(0, erased)
    for (const { object } of some) await system.erase(object.key)
    gone = some.map(({ id }) => id)
  }, 120_000)
  afterAll(async () => {
    await system?.[Symbol.asyncDispose]()
  })

  it('names in its plan the first images that are gone, and says how many more', async () => {
    const { code, stdout } = await on(...range, '--dry-run')
    expect(code).toBe(0)
    expect(stdout).toContain(`${erased} of ${images} that were looked for`)
    expect(stdout).toMatch(/in_[0-9a-f]{32} of study st_[0-9a-f]{32}/)
    expect(stdout).toMatch(/is compared with +pneumonia@1/)
    expect(named(stdout)).toHaveLength(10)
    expect(gone).toEqual(expect.arrayContaining(named(stdout)))
    expect(stdout).toContain('and 2 more')
  })

  it('names at its end those that it met, and all of them when asked', async () => {
    const { code, stdout } = await on(...range)
    expect(code).toBe(0)
    const [id = ''] = stdout.match(/rr_[0-9a-f]{32}/) ?? []
    const end = stdout.slice(stdout.indexOf('Erased since, so not judged again'))
    expect(named(end)).toHaveLength(10)
    expect(end).toContain(`and 2 more: raylog replay gone ${id}`)
    expect(end).toContain('pneumonia@2')
    expect(named((await on('gone', id)).stdout).toSorted()).toEqual(gone.toSorted())
    const json: { instance: string }[] = JSON.parse((await on('gone', id, '--json')).stdout)
    expect(json.map(({ instance }) => instance).toSorted()).toEqual(gone.toSorted())
  })
})
