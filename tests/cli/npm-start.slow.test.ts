/** The README's first command, as it is typed. */
import { existsSync, mkdtempSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { nodeOfNpm, npmStart } from '../harness/npm.ts'
import { until } from '../harness/until.ts'

const root = resolve(import.meta.dirname, '../..')
const title = `npm start, of an npm under Node ${await nodeOfNpm()}, prints a link that works, and ends in order at SIGTERM`

it(title, async () => {
  const data = mkdtempSync(join(tmpdir(), 'raylog-npm-'))
  const running = await npmStart(root, data)
  try {
    const { pid } = z.object({ pid: z.int() }).parse(JSON.parse(readFileSync(join(data, 'running.json'), 'utf8')))
    // Whatever Node npm runs under, Raylog gets the one that the project brings.
    if (process.platform === 'linux') expect(readlinkSync(`/proc/${pid}/exe`)).toContain(join(root, 'node_modules'))
    const page = await fetch(running.page)
    expect(page.status).toBe(200)
    expect(await page.text()).toContain('<div id="root">')
    const authorization = `Bearer ${running.page.searchParams.get('token')}`
    await until('all is well', async () => {
      const health = await fetch(new URL('/api/v1/monitoring/health', running.page), { headers: { authorization } })
      expect(health.status).toBe(200)
      return z.object({ ok: z.boolean() }).parse(await health.json()).ok
    })
  } finally {
    const { code, signal } = await running.stop()
    expect({ code, signal, said: running.said() }).toMatchObject({ code: 0, signal: null })
  }
  expect(running.said()).toContain('stopping: finishing what is under way')
  expect(existsSync(join(data, 'running.json'))).toBe(false)
  rmSync(data, { recursive: true })
})
