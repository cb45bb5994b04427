/** Checkers that are written in Java: their libraries come from Maven when a test first needs them, and stay. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { access, mkdir, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const cache = resolve(import.meta.dirname, '../../node_modules/.cache/raylog-java')

/**
 * @param artifacts pinned exactly: `group:artifact:version`
 * @param source a file with a `main`, compiled when it is run
 * @returns a function that runs it, or why there is none
 */
export async function javaWith(
  artifacts: readonly string[],
  source: string,
): Promise<{ run: (args: readonly string[]) => Promise<string> } | { missing: string }> {
  const name = createHash('sha256').update(artifacts.join(' ')).digest('hex').slice(0, 16)
  const folder = join(cache, name)
  const jars = join(folder, 'jars')
  const ready = join(folder, 'ready')
  try {
    await access(ready)
  } catch {
    try {
      await rm(folder, { recursive: true, force: true })
      await mkdir(folder, { recursive: true })
      await writeFile(join(folder, 'pom.xml'), pomOf(artifacts))
      const copy = ['-q', '-B', '-ntp', 'dependency:copy-dependencies', `-DoutputDirectory=${jars}`]
      await run('mvn', copy, { cwd: folder, timeout: 300_000 })
      await writeFile(ready, artifacts.join('\n'))
    } catch (thrown) {
      const [first = ''] = thrown instanceof Error ? thrown.message.split('\n') : []
      return { missing: `needs a JDK, Maven and ${artifacts[0]}: ${first.slice(0, 120)}` }
    }
  }
  return {
    async run(args) {
      const command = ['-Xmx1g', '-cp', `${jars}/*`, source, ...args]
      const { stdout } = await run('java', command, { maxBuffer: 64 * 1024 * 1024, timeout: 600_000 })
      return stdout
    },
  }
}

function pomOf(artifacts: readonly string[]): string {
  const dependencies = artifacts.map(artifact => {
    const [group, id, version] = artifact.split(':')
    return `<dependency><groupId>${group}</groupId><artifactId>${id}</artifactId><version>${version}</version></dependency>`
  })
  return `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>raylog</groupId><artifactId>checker</artifactId><version>1</version>
<dependencies>${dependencies.join('')}</dependencies></project>`
}
