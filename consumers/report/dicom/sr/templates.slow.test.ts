/** Structured reports by their templates as somebody else has them: PixelMed's checker, which knows PS3.16 of 2022. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { aFinding, images, withFindings } from '../../../../tests/reports/content.ts'
import { structuredReport } from './report.ts'

const run = promisify(execFile)
const jars = ['pixelmed', 'commons-codec', 'slf4j-api'].map(name => `/usr/share/java/${name}.jar`)
const lacks = jars.filter(jar => !existsSync(jar))
const checker = join(import.meta.dirname, '../../../../tests/reports/java/SrCheck.java')

/** What it says of each, in lines. */
async function check(reports: readonly Buffer[]): Promise<string[][]> {
  const folder = await mkdtemp(join(tmpdir(), 'raylog-templates-'))
  try {
    const paths = reports.map((_, n) => join(folder, `${n}.dcm`))
    for (const [n, path] of paths.entries()) await writeFile(path, reports[n] ?? '')
    const { stdout } = await run('java', ['-Xmx1g', '-cp', jars.join(':'), checker, ...paths], { timeout: 600_000 })
    return paths.map(path => (stdout.split(`file ${path}\n`)[1]?.split('\nfile ')[0] ?? '').split('\n'))
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** The items that are in no template: the last of each path, by code. */
const strangers = (lines: readonly string[]) =>
  new Set(lines.filter(line => line.endsWith('Content Item not in template')).map(line => /.*\((\w+),/.exec(line)?.[1]))

it.skipIf(lacks.length > 0)(
  `a structured report is by TID 1500 and what it includes${lacks.length > 0 ? ` (skipped: lacks libpixelmed-java: ${lacks})` : ''}`,
  async () => {
    const region = { label: 'mass', score: 0.8, frame: 1, points: [1, 2, 30, 2, 30, 20] }
    const content = withFindings([aFinding({}), aFinding({ present: false, score: 0.2, group: 'L' })], {
      images: images(2, { regions: [region], quality: ['near-threshold'] }),
    })
    const report = structuredReport({ content, version: '0.1.0' })
    // The version of each algorithm by a code that means nothing: the same length.
    const damaged = Buffer.from(report.toString('latin1').replaceAll('111003', '111009'), 'latin1')
    const [whole = [], other = []] = await check([report, damaged])
    expect(whole).toContain('Found Root Template TID_1500 (MeasurementReport)')
    expect(whole).toContain('Root Template Validation Complete')
    // Procedures may be others than those of context group 100, which is extensible and has none for plain radiography.
    expect(whole.filter(line => line.startsWith('Error') && !line.includes('not found in context group 100'))).toEqual(
      [],
    )
    // Finding category (which came later), presence, and comments: the templates are extensible.
    const known = ['276214006', '705057003', '121106']
    expect(strangers(whole)).toEqual(new Set(known))
    expect(strangers(other)).toEqual(new Set([...known, '111009']))
  },
)
