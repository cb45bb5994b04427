/** De-identified objects read by tools that nobody here wrote: dcmdump, dciodvfy and pydicom. */
import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chestDicom, chestUids } from '../../../producers/simulator/phantoms.ts'
import { deidentifyRules, type Region } from '../../../schemas/deidentify.ts'
import { pythonWith, runPython } from '../../../tests/harness/python.ts'
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
    return !(thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT')
  }
}

const without = ['dcmdump', 'dciodvfy', 'dcmj2pnm'].filter(tool => !has(tool, '--version'))
const pydicom = await pythonWith(['pydicom==3.0.1'])
const python = 'python' in pydicom ? pydicom.python : undefined
const unread = 'python' in pydicom ? '' : ` (skipped: ${pydicom.missing})`
const corpus = sharedPath('data', 'dicom')

async function cleaned(
  name: string,
  bytes: Uint8Array,
  options = ['shift-dates', 'clean-pixels'],
  regions?: Region[],
): Promise<string> {
  const rules = deidentifyRules.parse({ options, pixels: { unknown: 'keep', rules: regions ? [{ regions }] : [] } })
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

/** Grey values as DCMTK shows them, through one window, so that black in a corner does not move the others. */
async function shown(path: string, unpack?: string): Promise<Buffer> {
  const plain = unpack ? `${path}.plain` : path
  if (unpack) await run(unpack, [path, plain])
  await run('dcmj2pnm', ['+op', '+Ww', '2048', '4096', plain, `${path}.pgm`])
  return readFileSync(`${path}.pgm`).subarray(-(size * size))
}

/** Of a radiograph that is made for it. */
const size = 128
const seed = 7

/** What DCMTK makes of a radiograph without a loss, and what undoes it where its viewer does not. */
const packed: [name: string, pack: string[], unpack?: string][] = [
  ['explicit VR', ['dcmconv', '+te']],
  ['implicit VR', ['dcmconv', '+ti']],
  ['big endian', ['dcmconv', '+tb']],
  ['RLE', ['dcmcrle']],
  ['JPEG Lossless', ['dcmcjpeg']],
  ['JPEG-LS', ['dcmcjpls'], 'dcmdjpls'],
]

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
    describe('what is made of an object with every attribute', () => {
      const paths: string[] = []
      beforeAll(async () => {
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
        for (const [syntax, encoding] of encodings)
          for (const options of [
            ['clean-pixels'],
            ['shift-dates', 'retain-uids', 'retain-device', 'clean-structured-content'],
          ])
            paths.push(
              await cleaned(`${syntax}-${options.length}.dcm`, plantedObject(encoding, syntax, uids).bytes, options),
            )
      })

      it('dcmdump reads', async () => {
        for (const path of paths) {
          const { stdout, stderr } = await run('dcmdump', ['+L', path], { maxBuffer: 1e8, encoding: 'latin1' })
          expect(stderr).toBe('')
          expect(stdout).toContain('(0012,0062) CS [YES]')
        }
      })

      it.skipIf(python === undefined)(`pydicom reads${unread}`, async () => {
        expect((await runPython(python ?? '', ['-c', readAll, ...paths])).trim()).toBe('6')
      })
    })

    describe.each(packed)('of a radiograph in %s', (name, [tool = '', ...flags], unpack) => {
      const path = join(folder, name)
      const before = `${path}-before.dcm`
      const { sopInstance, series, study } = chestUids(seed)
      const names = [sopInstance, series, study, 'Demo^', 'DEMO-', `A${String(seed).padStart(8, '0')}`, 'Demonstration']
      beforeAll(async () => {
        writeFileSync(path, chestDicom(seed, { size }))
        await run(tool, [...flags, path, before])
      })

      it('nobody is left, no error is new, and every pixel is as it was', async () => {
        const after = await cleaned(`${name}-after.dcm`, new Uint8Array(readFileSync(before)))
        const dumped = async (one: string) => (await run('dcmdump', ['+L', '-M', one], { maxBuffer: 1e8 })).stdout
        const [dumpBefore, dump] = [await dumped(before), await dumped(after)]
        for (const one of names) {
          expect(dumpBefore).toContain(one)
          expect(dump).not.toContain(one)
        }
        expect(dump).toContain('(0012,0062) CS [YES]')
        const wrongBefore = await errorsOf(before)
        expect([...(await errorsOf(after))].filter(error => !wrongBefore.has(error))).toEqual([])
        expect((await shown(after, unpack)).equals(await shown(before, unpack))).toBe(true)
      })

      it('what stands in a corner is black, and nothing beside it', async () => {
        const corner = { left: 8, top: 4, width: 40, height: 12 }
        const after = await cleaned(
          `${name}-corner.dcm`,
          new Uint8Array(readFileSync(before)),
          ['clean-pixels'],
          [corner],
        )
        const original = await shown(before, unpack)
        const expected = Buffer.from(original)
        const [from, to] = [corner.left, corner.left + corner.width]
        for (let row = corner.top; row < corner.top + corner.height; row++)
          expected.fill(0, row * size + from, row * size + to)
        expect(original.equals(expected)).toBe(false)
        expect((await shown(after, unpack)).equals(expected)).toBe(true)
      })
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
