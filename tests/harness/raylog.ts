/** A real Raylog in a process of its own, for tests and benchmarks: started, asked, stopped, killed. */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { until } from './until.ts'

const root = resolve(import.meta.dirname, '../..')
const node = join(root, 'node_modules/.bin/node')

/** Without settings of the caller's: RAYLOG_KILL_INSTANCES and the like are for tests. */
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('RAYLOG_')))

export interface RaylogOptions {
  /** Kept across restarts; a temporary one, removed at the end, unless given. */
  data?: string
  /** `path=value` settings on top of the test's own. */
  set?: readonly string[]
  args?: readonly string[]
  /** Where its token is, if not in its data folder. */
  secrets?: string
  /** On top of this process' environment. */
  env?: Readonly<Record<string, string>>
  /** Extra flags for Node, such as a memory limit. */
  nodeFlags?: readonly string[]
}

export interface Raylog extends AsyncDisposable {
  readonly url: string
  readonly token: string
  readonly data: string
  readonly dicomPort: number
  readonly inbox: string
  readonly pid: number
  /** It runs, as far as the operating system knows. */
  readonly alive: boolean
  /** What it said on stdout when it was last ready. */
  banner(): string
  /** Everything that it wrote to stderr, over all its lives. */
  logs(): string
  get(path: string): Promise<Response>
  json<T = Record<string, unknown>>(path: string): Promise<T>
  post(path: string, body?: NonNullable<RequestInit['body']>, headers?: Record<string, string>): Promise<Response>
  /** SIGKILL, and gone when it resolves. */
  kill(): Promise<void>
  /** Starts it again on the same folder and ports, and resolves when it is ready. */
  restart(): Promise<void>
  /** SIGTERM; its exit status. */
  stop(): Promise<number | null>
}

/** Below the ports that the kernel gives to outgoing connections: one of those may take a port while its server is down. */
const ports = { from: 10_000, to: 32_000 }
const given = new Set<number>()

/** A port that nothing listens on now. */
export function freePort(): Promise<number> {
  const port = randomInt(ports.from, ports.to)
  if (given.has(port)) return freePort()
  given.add(port)
  return new Promise(done => {
    const server = createServer()
    server.once('error', () => done(freePort()))
    server.listen(port, '127.0.0.1', () => server.close(() => done(port)))
  })
}

export async function startRaylog(options: RaylogOptions = {}): Promise<Raylog> {
  const data = options.data ?? mkdtempSync(join(tmpdir(), 'raylog-test-'))
  const [port, dicomPort] = await Promise.all([freePort(), freePort()])
  const settings = [`http.port=${port}`, `dimse.port=${dicomPort}`, ...(options.set ?? [])]
  const args = [
    ...(options.nodeFlags ?? []),
    join(root, 'cli/main.ts'),
    '--data',
    data,
    ...settings.flatMap(setting => ['--set', setting]),
    'start',
    ...(options.args ?? []),
  ]
  let child: ChildProcess
  let exited: Promise<number | null>
  let stderr = ''
  let stdout = ''
  const url = `http://127.0.0.1:${port}`

  async function launch(): Promise<void> {
    stdout = ''
    const started = spawn(node, args, { cwd: root, env: { ...env, ...options.env }, stdio: ['ignore', 'pipe', 'pipe'] })
    child = started
    started.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    started.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    let code: number | null | undefined
    exited = new Promise(done => {
      started.once('exit', status => {
        code = status
        done(status)
      })
    })
    const ready = () => {
      if (code !== undefined) throw new Error(`Raylog ended with ${code}:\n${stdout}\n${stderr.slice(-4_000)}`)
      return stdout.includes('Raylog is ready')
    }
    await until('Raylog is ready', ready, { deadlineMs: 180_000 })
  }

  await launch()
  const token = readFileSync(join(options.secrets ?? data, 'token'), 'utf8').trim()
  const headers = { authorization: `Bearer ${token}` }
  const raylog: Raylog = {
    url,
    token,
    data,
    dicomPort,
    inbox: join(data, 'inbox'),
    get pid() {
      return child.pid ?? -1
    },
    get alive() {
      return child.exitCode === null && child.signalCode === null
    },
    banner: () => stdout,
    logs: () => stderr,
    get: path => fetch(url + path, { headers }),
    async json<T>(path: string) {
      const response = await fetch(url + path, { headers })
      if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
      return (await response.json()) as T
    },
    post: (path, body, more = {}) =>
      fetch(url + path, { method: 'POST', headers: { ...headers, ...more }, ...(body === undefined ? {} : { body }) }),
    async kill() {
      child.kill('SIGKILL')
      await exited
    },
    restart: launch,
    async stop() {
      child.kill('SIGTERM')
      return exited
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await exited
      if (options.data === undefined) rmSync(data, { recursive: true, force: true })
    },
  }
  return raylog
}
