/** Real servers for tests: installed once into a cache folder, started on free ports, killed, frozen, stopped. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { until } from '../../harness/until.ts'

export const execute = promisify(execFile)

const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'raylog')

/**
 * The folder of an installed server; `install` fills it when it is not there. It is made aside and renamed, so that an
 * interrupted installation is never taken for a whole one.
 */
export async function installed(name: string, install: (folder: string) => Promise<void>): Promise<string> {
  const folder = join(cache, name)
  if (existsSync(folder)) return folder
  mkdirSync(cache, { recursive: true })
  const aside = mkdtempSync(join(cache, `.${name}-`))
  try {
    await install(aside)
    if (!existsSync(folder)) renameSync(aside, folder)
  } catch (error) {
    // Another run, which installs the same at the same time, may have been first.
    if (!existsSync(folder)) throw error
  } finally {
    rmSync(aside, { recursive: true, force: true })
  }
  return folder
}

export const workFolder = (name: string): string => mkdtempSync(join(tmpdir(), `raylog-${name}-`))

export interface Server extends AsyncDisposable {
  readonly pid: number
  /** Where it keeps its data and its log. */
  readonly folder: string
  /** Ends it at once, and is gone when it resolves. */
  kill(): Promise<void>
  /** Starts it again as it was started, after `kill` or `stop`. */
  start(): Promise<void>
  /** It answers nobody, and its connections stay open. */
  freeze(): void
  thaw(): void
  stop(): Promise<void>
}

export interface ServerOptions {
  name: string
  command: string
  args: readonly string[]
  env?: NodeJS.ProcessEnv
  folder: string
  /** Resolves to true when it can be used. */
  ready: () => Promise<boolean>
  readyMs?: number
}

export async function startServer(options: ServerOptions): Promise<Server> {
  let child: ChildProcess
  let exited: Promise<void>
  const log = join(options.folder, 'server.log')

  async function start(): Promise<void> {
    const out = openSync(log, 'a')
    const started = spawn(options.command, options.args, {
      cwd: options.folder,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', out, out],
    })
    child = started
    let ended = false
    exited = new Promise(done => {
      const over = () => {
        ended = true
        done()
      }
      started.once('exit', over).once('error', over)
    })
    await until(
      `${options.name} is ready`,
      () => {
        if (ended) throw new Error(`${options.name} ended:\n${readFileSync(log, 'utf8').slice(-3_000)}`)
        return options.ready()
      },
      { deadlineMs: options.readyMs ?? 300_000, everyMs: 50 },
    )
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    child.kill('SIGCONT')
    child.kill(signal)
    await exited
  }

  // On a machine that is busy with other things a server may give up in its first start.
  for (let attempt = 1; ; attempt++) {
    try {
      await start()
      break
    } catch (error) {
      if (attempt === 3) throw error
    }
  }
  return {
    get pid() {
      return child.pid ?? -1
    },
    folder: options.folder,
    start,
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    async [Symbol.asyncDispose]() {
      await end('SIGKILL')
      rmSync(options.folder, { recursive: true, force: true })
    },
  }
}

export function listens(port: number): Promise<boolean> {
  return new Promise(done => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      done(true)
    })
    socket.once('error', () => done(false))
  })
}

export async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url)
    await response.body?.cancel()
    return true
  } catch {
    return false
  }
}

/** A Java that is at least so new: the one of JAVA_HOME, of the path, or of /usr/lib/jvm. */
export async function javaAtLeast(version: number): Promise<string> {
  const { stdout } = await execute('sh', ['-c', 'ls -d /usr/lib/jvm/*/bin/java 2>/dev/null || true'])
  const candidates = [process.env.JAVA_HOME && join(process.env.JAVA_HOME, 'bin/java'), 'java', ...stdout.split('\n')]
  for (const java of candidates) {
    if (!java) continue
    try {
      const { stderr } = await execute(java, ['-version'])
      if (Number(/version "(\d+)/.exec(stderr)?.[1] ?? 0) >= version) return java
    } catch {
      // Not a Java that runs here: the next one may be.
    }
  }
  throw new Error(`no Java ${version} or newer; install one, or set JAVA_HOME`)
}
