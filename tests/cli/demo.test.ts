/** The README's `npm run demo`, as a newcomer types it, on a machine where both ports are somebody else's. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, it } from 'vitest'
import { associate, echo, statusOf } from '../harness/dicom-peer.ts'
import { freePort } from '../harness/raylog.ts'
import { until } from '../harness/until.ts'

const root = resolve(import.meta.dirname, '../..')

interface Page {
  items: { source: { kind: string }; model: { name: string }; label: string }[]
}

/** `npm run demo -- ARGS…` in a process group of its own, which is ended as Ctrl+C does it. */
function npmRunDemo(args: readonly string[]) {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('RAYLOG_')))
  const child = spawn('npm', ['run', 'demo', '--', ...args], { cwd: root, env, detached: true })
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
  // Not before whatever it started has closed its end of the pipes.
  const exited = once(child, 'close')
  return {
    said: () => said,
    ended: () => child.exitCode !== null,
    async [Symbol.asyncDispose]() {
      if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGINT')
      await exited
    },
  }
}

async function occupied() {
  const port = await freePort()
  const server = createServer().listen(port, '127.0.0.1')
  await once(server, 'listening')
  return { port, [Symbol.asyncDispose]: async () => void server.close() }
}

it('shows images flow, made up on the spot, and says on which ports it is', { timeout: 120_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'raylog-demo-'))
  const data = join(folder, 'data')
  try {
    await using page = await occupied()
    await using dicom = await occupied()
    const set = [`http.port=${page.port}`, `dimse.port=${dicom.port}`, 'models.workers=1']
    await using demo = npmRunDemo(['--data', data, ...set.flatMap(one => ['--set', one])])
    await until(`it is ready:\n${demo.said()}`, () => {
      expect(demo.ended(), demo.said()).toBe(false)
      return demo.said().includes('Raylog is ready')
    })
    expect(demo.said()).toMatch(/Demo +2 made-up images a second/)

    const [, url = '', httpPort] = /Page +(http:\/\/127\.0\.0\.1:(\d+))\/\?token=/.exec(demo.said()) ?? []
    expect(Number(httpPort)).toBeGreaterThan(page.port)
    const token = readFileSync(join(data, 'token'), 'utf8').trim()
    const ask = async (path: string) =>
      (await fetch(url + path, { headers: { authorization: `Bearer ${token}` } })).json()
    const models = await until('a chest, a digit and a tissue have their results', async () => {
      const { items } = (await ask('/api/v1/predictions')) as Page
      const names = new Set(items.map(({ model }) => model.name))
      return names.size === 3 && [...names].sort()
    })
    expect(models).toEqual(['breast', 'digits', 'pneumonia'])
    const { items } = (await ask('/api/v1/instances?source=simulator&limit=100')) as Page
    expect(items.length).toBeGreaterThanOrEqual(3)

    const [, dicomPort] = /DICOM +127\.0\.0\.1:(\d+), AE title RAYLOG/.exec(demo.said()) ?? []
    expect(Number(dicomPort)).toBeGreaterThan(dicom.port)
    using peer = await associate(Number(dicomPort))
    peer.write(echo())
    expect(statusOf(await peer.next()).status).toBe(0)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
