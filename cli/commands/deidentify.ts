/** raylog deidentify: files without the people in them, by the same rules and keys as at the edge. */
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { openDeidentifier } from '../../models/imaging/deidentify/pool.ts'
import type { DeidentifyReport } from '../../models/imaging/port.ts'
import { createMetrics } from '../../monitoring/metrics.ts'
import { toRaylogError } from '../../schemas/errors.ts'
import { openSecrets } from '../../storage/file-secrets.ts'
import { CallError } from '../call-error.ts'
import { platformSettings, type SettingSources } from '../settings.ts'

/** Names of files may be names of people: what is made is numbered, and the report has the numbers. */
interface Outcome {
  file: string
  report?: DeidentifyReport
  error?: { code: string; message: string }
}

export async function deidentifyFiles(
  sources: SettingSources,
  from: string,
  to: string,
  flags: { report?: string },
): Promise<void> {
  if (!existsSync(from)) throw new CallError(`There is no ${from}.`, 'Name a file or a folder that exists.')
  if (existsSync(to)) throw new CallError(`${to} is there already.`, 'Give another name, or move it away.')
  const config = platformSettings(sources)
  const secrets = await openSecrets(config.secrets.folder ?? config.data, { token: config.http.token })
  const metrics = createMetrics()
  const key = secrets.derive('deidentify')
  const deidentifier = openDeidentifier({ settings: config.deidentify, key, site: config.site, metrics })
  const folder = (await stat(from)).isDirectory()
  const outcomes: Outcome[] = []
  try {
    for (const path of folder ? await filesBelow(from) : [from]) {
      const target = folder ? join(to, `${String(outcomes.length + 1).padStart(6, '0')}.dcm`) : to
      outcomes.push(await one(path, target))
    }
  } finally {
    await deidentifier.close()
    metrics.registry.clear()
  }

  async function one(path: string, target: string): Promise<Outcome> {
    try {
      const { bytes, report } = await deidentifier.deidentify(await readFile(path))
      await mkdir(dirname(target), { recursive: true })
      await writeFile(target, bytes, { flag: 'wx' })
      const changed = report.changes.reduce((sum, { count }) => sum + count, 0)
      console.log(`ok      ${path}  →  ${target}  ${changed} elements changed, pixels ${report.pixels}`)
      return { file: target, report }
    } catch (thrown) {
      const { code, message, entry } = toRaylogError(thrown)
      console.log(`FAILED  ${path}  ${code}: ${message}. ${entry.remedy}`)
      return { file: target, error: { code, message } }
    }
  }

  const failed = outcomes.filter(({ error }) => error).length
  if (flags.report !== undefined) await writeFile(flags.report, `${JSON.stringify(outcomes, null, 2)}\n`)
  console.log(
    `${outcomes.length - failed} de-identified${failed > 0 ? `, ${failed} failed: nothing of them was written` : ''}.`,
  )
  if (failed > 0) process.exitCode = 1
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter(entry => entry.isFile() && !entry.name.startsWith('.'))
    .map(entry => join(entry.parentPath, entry.name))
    .sort()
}
