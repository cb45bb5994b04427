/** De-identified objects read by tools that nobody here wrote: dcmdump, dciodvfy, and pydicom where it is. */
import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'
import { deidentifyRules } from '../../../schemas/deidentify.ts'
import { sharedPath } from '../../../tests/shared.ts'
import { deidentify } from './deidentify.ts'
import { plantedObject } from './planted.ts'

const run = promisify(execFile)
const folder = mkdtempSync(join(tmpdir(), 'raylog-deidentify-'))
afterAll(() => rmSync(folder, { recursive: true }))

function has(command: string, ...args: string[]): boolean {
  try {
    execFileSync(command, args, { stdio: 'ignore' })
    return true
  } catch (thrown) {
    return !(thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') && command !== 'python3'
  }
}

const without = ['dcmdump', 'dciodvfy'].filter(tool => !has(tool, '--version'))
const pydicom = has('python3', '-c', 'import pydicom')
const corpus = sharedPath('data', 'dicom')

async function cleaned(name: string, bytes: Uint8Array, options = ['shift-dates', 'clean-pixels']): Promise<string> {
  const rules = deidentifyRules.parse({ options, pixels: { unknown: 'keep' } })
  const out = await deidentify(bytes, { rules, key: Buffer.alloc(32, 7), site: 'main' })
  const path = join(folder, name)
  writeFileSync(path, out.bytes)
  return path
}

/** What dciodvfy finds wrong; it ends with 1 then, and says it on stderr. */
async function errorsOf(path: string): Promise<Set<string>> {
  const { stderr } = await run('dciodvfy', ['-new', path], { encoding: 'latin1', maxBuffer: 1e8 }).catch(
    thrown => thrown,
  )
  return new Set(
    String(stderr)
      .split('\n')
      .filter(line => line.startsWith('Error')),
  )
}

const readAll = `
import sys, pydicom
for path in sys.argv[1:]:
    ds = pydicom.dcmread(path)
    assert ds.PatientIdentityRemoved == 'YES', path
    for element in ds.iterall():
        element.value
print(len(sys.argv) - 1)
`

describe.skipIf(without.length > 0)(
  `foreign tools${without.length > 0 ? ` (missing: ${without.join(', ')})` : ''}`,
  () => {
    it('dcmdump and pydicom read what is made of an object with every attribute', async () => {
      const uids = {
        sopClass: '1.2.840.10008.5.1.4.1.1.2',
        sopInstance: '1.2.3.1',
        study: '1.2.3.2',
        series: '1.2.3.3',
      }
      const encodings = [
        ['1.2.840.10008.1.2', { explicit: false, big: false }],
        ['1.2.840.10008.1.2.1', { explicit: true, big: false }],
        ['1.2.840.10008.1.2.2', { explicit: true, big: true }],
      ] as const
      const paths: string[] = []
      for (const [syntax, encoding] of encodings)
        for (const options of [
          ['clean-pixels'],
          ['shift-dates', 'retain-uids', 'retain-device', 'clean-structured-content'],
        ])
          paths.push(
            await cleaned(`${syntax}-${options.length}.dcm`, plantedObject(encoding, syntax, uids).bytes, options),
          )
      for (const path of paths) {
        const { stdout, stderr } = await run('dcmdump', ['+L', path], { maxBuffer: 1e8, encoding: 'latin1' })
        expect(stderr).toBe('')
        expect(stdout).toContain('(0012,0062) CS [YES]')
      }
      if (pydicom) expect((await run('python3', ['-c', readAll, ...paths])).stdout.trim()).toBe(String(paths.length))
    })

    it.skipIf(corpus === undefined)(
      'dciodvfy finds no new error in real files (needs the shared data)',
      async () => {
        const dicom = corpus ?? ''
        // Cut short on purpose, no DICOM, without a transfer syntax; dciodvfy does not inflate.
        const left = /^(truncated|htj2k-rpcl|no-ts|dicomdir|deflated)|\.csv$/
        for (const name of readdirSync(dicom).filter(one => !left.test(one))) {
          const before = await errorsOf(join(dicom, name))
          const after = await errorsOf(await cleaned(name, new Uint8Array(readFileSync(join(dicom, name)))))
          expect(
            [...after].filter(error => !before.has(error)),
            name,
          ).toEqual([])
        }
      },
      240_000,
    )
  },
)
