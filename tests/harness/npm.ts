/** `npm start` as a user types it: npm under the machine's own Node, which gives Raylog the Node that the project brings. */
import { spawn } from 'node:child_process'
import { delimiter } from 'node:path'
import { until } from './until.ts'

/** What npm put in front is taken away again, and what it tells those that it runs, so that npm is found as in a terminal. */
export const envOfTerminal = {
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm_|RAYLOG_|VITEST|NODE_ENV$)/.test(name))),
  PATH: (process.env.PATH ?? '')
    .split(delimiter)
    .filter(folder => !folder.includes('node_modules'))
    .join(delimiter),
}

export interface NpmRun {
  /** Everything that was printed so far, both ways. */
  said(): string
  /** From the command to its page being there, s. */
  seconds: number
  /** What it printed as the link to the page. */
  page: URL
  /** SIGTERM to npm alone; how npm ended. */
  stop(): Promise<{ code: number | null; signal: NodeJS.Signals | null }>
}

/** `npm start` in a clone, with its data elsewhere if wanted. @throws when it ends before it is ready */
export async function npmStart(clone: string, data?: string): Promise<NpmRun> {
  const begun = performance.now()
  const args = ['start', ...(data === undefined ? [] : ['--', '--data', data])]
  const child = spawn('npm', args, { cwd: clone, env: envOfTerminal, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
  let over = false
  // `close`, not `exit`: what Raylog holds open of npm's streams is closed when Raylog itself has ended.
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>(done => {
    child.once('close', (code, signal) => {
      over = true
      done({ code, signal })
    })
  })
  const link = await until(
    'npm start prints the link to the page',
    () => {
      if (over) throw new Error(`npm start ended:\n${said.slice(-4_000)}`)
      return /Page +(\S+)/.exec(said)?.[1]
    },
    { deadlineMs: 180_000, everyMs: 5 },
  )
  return {
    said: () => said,
    seconds: (performance.now() - begun) / 1_000,
    page: new URL(link),
    stop() {
      child.kill('SIGTERM')
      return ended
    },
  }
}

/** The version of the Node that runs npm, such as v20.19.0. */
export async function nodeOfNpm(): Promise<string> {
  const child = spawn('node', ['--version'], { env: envOfTerminal, stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  await new Promise(done => child.once('close', done))
  return said.trim()
}
