/**
 * The time from the command to the link to the page: the first and the second `npm start` of a clean clone after its `npm ci`,
 * and the process itself. What is not committed is not measured.
 *
 *   node bench/start.ts [--clones 3] [--starts 5]
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { envOfTerminal, npmStart } from '../tests/harness/npm.ts'
import { startRaylog } from '../tests/harness/raylog.ts'
import { markdown, median, type Row, round } from './table.ts'

const { values: flags } = parseArgs({
  options: { clones: { type: 'string', default: '3' }, starts: { type: 'string', default: '5' } },
})
const root = resolve(import.meta.dirname, '..')
const execute = promisify(execFile)

/** @returns how long the first start and the second take, s */
async function startsOfClone(): Promise<{ first: number; second: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'raylog-bench-start-'))
  try {
    const clone = join(folder, 'clone')
    await execute('git', ['clone', '--quiet', '--local', root, clone])
    await execute('npm', ['ci', '--no-audit', '--no-fund', '--prefer-offline'], { cwd: clone, env: envOfTerminal })
    const once = async () => {
      const running = await npmStart(clone)
      await running.stop()
      return running.seconds
    }
    return { first: await once(), second: await once() }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const clones: { first: number; second: number }[] = []
for (let n = 0; n < Number(flags.clones); n++) clones.push(await startsOfClone())
const alone: number[] = []
for (let n = 0; n < Number(flags.starts); n++) {
  const started = performance.now()
  await using raylog = await startRaylog({ set: ['logLevel=warn'] })
  alone.push((performance.now() - started) / 1_000)
  await raylog.stop()
}

const row = (what: string, seconds: readonly number[]): Row => ({
  what: `${what}, median of ${seconds.length}`,
  figures: { seconds: round(median(seconds), 2), slowest: round(Math.max(...seconds), 2) },
})
const rows = [
  row(
    'first npm start of a clean clone, page built',
    clones.map(({ first }) => first),
  ),
  row(
    'second npm start',
    clones.map(({ second }) => second),
  ),
  row('the process, start to ready', alone),
]
console.log(markdown(rows))
console.log(JSON.stringify({ bench: 'start', rows }))
