import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openFolderObjects } from './folder-objects.ts'

/** Stores objects of many sizes, sixteen at a time, for ever; says each key once it is stored. */
const childSource = (folder: string, how: string) => `
import { randomBytes } from 'node:crypto'
import { openFolderObjects } from ${JSON.stringify(new URL('./folder-objects.ts', import.meta.url).href)}
const store = await openFolderObjects({ folder: ${JSON.stringify(folder)}, ${how} })
async function forEver() {
  for (;;) {
    const bytes = randomBytes(Math.trunc(Math.random() ** 4 * 3_000_000))
    if (Math.random() < 0.5) {
      const { key } = await store.put(bytes, 'a/b', { soon: true })
      process.stdout.write(key + '\\n')
    } else {
      const writer = await store.writer()
      for (let at = 0; at < bytes.length; at += 65_536) await writer.write(bytes.subarray(at, at + 65_536))
      const { key } = await writer.commit('a/b')
      process.stdout.write(key + '\\n')
    }
  }
}
await Promise.all(Array.from({ length: 16 }, forEver))
`

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'raylog-killed-'))
})
afterEach(() => rm(folder, { recursive: true }))

/** Kills the child once it has said so many keys; gives every key that it said. */
async function killedAfter(child: ChildProcess, count: number): Promise<string[]> {
  const said: string[] = []
  if (!child.stdout) throw new Error('the child has no output')
  const lines = createInterface({ input: child.stdout })
  const ended = once(lines, 'close')
  lines.on('line', line => {
    said.push(line)
    if (said.length === count) child.kill('SIGKILL')
  })
  await Promise.all([once(child, 'exit'), ended])
  return said.filter(line => line.length === 67)
}

it.each([
  ['a writer', ''],
  ['a writer into the arrivals', 'arrivals: { segmentBytes: 8 * 1024 * 1024, maxSegments: 4, idleMs: 30 }'],
])(
  'killed at any time, %s leaves every object that it said was stored, whole, and nothing that is not',
  async (_, how) => {
    const acknowledged = new Set<string>()
    for (const count of [1, 2, 5, 13, 40, 41, 77, 100]) {
      const child = spawn(process.execPath, ['--input-type=module', '-e', childSource(folder, how)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      for (const key of await killedAfter(child, count)) acknowledged.add(key)
    }
    const said = acknowledged.size
    const store = await openFolderObjects({ folder, ...(how && { arrivals: { idleMs: 30 } }) })
    expect(await readdir(join(folder, 'incoming'))).toEqual([])
    let visible = 0
    for await (const { key } of store.list()) {
      await store.get(key) // throws where the content does not have its digest
      acknowledged.delete(key)
      visible += 1
    }
    expect([...acknowledged]).toEqual([])
    expect(visible).toBeGreaterThanOrEqual(said)
    await store.close()
  },
)
