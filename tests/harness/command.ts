/** The real command line in a process of its own: what it printed, and how it ended. */
import { execFile } from 'node:child_process'
import { join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '../..')

export interface CommandOutcome {
  /** Exit status. */
  code: number
  stdout: string
  stderr: string
}

/** `raylog ARGS…`. It runs in the root of the project unless `cwd` says otherwise; settings of the caller's environment are left out. */
export function command(
  args: readonly string[],
  { cwd = root, env = {} }: { cwd?: string; env?: Record<string, string> } = {},
): Promise<CommandOutcome> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('RAYLOG_'))
  return new Promise(done => {
    execFile(
      join(root, 'node_modules/.bin/node'),
      [join(root, 'cli/main.ts'), ...args],
      { cwd, env: { ...Object.fromEntries(inherited), ...env }, timeout: 60_000, maxBuffer: 2 ** 26 },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1
        done({ code, stdout, stderr })
      },
    )
  })
}
