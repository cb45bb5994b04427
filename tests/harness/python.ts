/** A Python of its own with some packages, made when a test first needs it, for tools that are written in Python. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { access, mkdir, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const cache = resolve(import.meta.dirname, '../../node_modules/.cache/raylog-python')

/**
 * @param packages pinned exactly: `pydicom==3.0.1`
 * @returns path of the interpreter, or why there is none
 */
export async function pythonWith(packages: readonly string[]): Promise<{ python: string } | { missing: string }> {
  const name = createHash('sha256').update(packages.join(' ')).digest('hex').slice(0, 16)
  const folder = join(cache, name)
  const python = join(folder, 'bin', 'python')
  const ready = join(folder, 'ready')
  try {
    await access(ready)
    return { python }
  } catch {
    // Not made yet, or not to its end.
  }
  try {
    await rm(folder, { recursive: true, force: true })
    await mkdir(cache, { recursive: true })
    await run('python3', ['-m', 'venv', folder])
    await run(python, ['-m', 'pip', 'install', '--quiet', ...packages], { timeout: 300_000 })
    await writeFile(ready, packages.join('\n'))
    return { python }
  } catch (thrown) {
    const first = thrown instanceof Error ? thrown.message.split('\n')[0] : ''
    return { missing: `needs python3 with venv, and ${packages.join(', ')}: ${first?.slice(0, 120) ?? ''}` }
  }
}

/** pynetdicom's Python, and the title of a test that it drives, which says what is missing (as `titleOf` of tools). */
export async function pynetdicom(name = 'pynetdicom') {
  const found = await pythonWith(['pydicom==3.0.1', 'pynetdicom==3.0.4'])
  if ('python' in found) return { ...found, missing: false, title: name }
  return { python: '', missing: true, title: `${name} (skipped: ${found.missing})` }
}

/** @returns what it wrote to stdout */
export async function runPython(python: string, args: readonly string[]): Promise<string> {
  const { stdout } = await run(python, [...args], { maxBuffer: 256 * 1024 * 1024, timeout: 240_000 })
  return stdout
}
