/** Patients are found by names in every character set, asked for by pynetdicom and findscu as their consoles would. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type OpenNode, openNode } from '../harness/dicom-node.ts'
import { pynetdicom, runPython } from '../harness/python.ts'
import { titleOf } from '../harness/tools.ts'
import { sharedPath } from '../shared.ts'

const run = promisify(execFile)
const fixtures = join(import.meta.dirname, '../../models/fixtures/imaging')
const ours = z.record(z.string(), z.string()).parse(JSON.parse(readFileSync(join(fixtures, 'names.json'), 'utf8')))
/** As pydicom reads them. */
const real = {
  'charset__chrArab.dcm': 'قباني^لنزار',
  'charset__chrH31.dcm': 'Yamada^Tarou=山田^太郎=やまだ^たろう',
  'charset__chrKoreanMulti.dcm': '김희중',
  'charset__chrX2.dcm': 'Wang^XiaoDong=王^小东=',
}

/** The fixtures are all of one patient and one study; here each is another's. */
function own(bytes: Buffer, index: number): Buffer {
  const put = (what: string, instead: string) => {
    const at = bytes.indexOf(what)
    if (at >= 0) bytes.write(instead, at, 'latin1')
  }
  put('CANARY-1', `CANARY-${String.fromCharCode(0x41 + index)}`)
  for (const kind of ['1', '2']) put(`.99999.${kind}.1`, `.9${String(index).padStart(4, '0')}.${kind}.1`)
  return bytes
}

let folder = ''
let node: OpenNode
const names = new Map<string, string>()
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'raylog-names-'))
  node = await openNode()
  const all = [
    ...Object.entries(ours).map(([file, name]) => [join(fixtures, file), name] as const),
    ...Object.entries(real).flatMap(([file, name]) => {
      const path = sharedPath('data', 'dicom', file)
      return path === undefined ? [] : [[path, name] as const]
    }),
  ]
  for (const [index, [path, name]] of all.entries()) {
    const bytes = own(readFileSync(path), index)
    const file = join(folder, `${index}.dcm`)
    await writeFile(file, bytes)
    await node.keep(bytes)
    // A group of a name that is empty and last may be left out (PS3.5 6.2.1.1).
    names.set(file, name.normalize('NFC').replace(/=$/, ''))
  }
})
afterAll(async () => {
  await node[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})

const { python, missing, title } = await pynetdicom()

describe.skipIf(missing)(title, () => {
  it('finds each patient by the name as it is written in the image, and reads it in UTF-8', {
    timeout: 240_000,
  }, async () => {
    const script = join(import.meta.dirname, 'pynetdicom_names.py')
    const said = z
      .record(z.string(), z.array(z.tuple([z.string(), z.string(), z.string()])))
      .parse(JSON.parse(await runPython(python, [script, String(node.port), ...names.keys()])))
    expect(names.size).toBeGreaterThan(10)
    for (const [file, name] of names) {
      const found = said[file]?.map(([found, , set]) => [found.normalize('NFC'), set])
      expect(found, name).toEqual([[name, 'ISO_IR 192']])
    }
  })
})

const dcmtk = titleOf('DCMTK', ['findscu', 'dcmdump'])

describe.skipIf(dcmtk.missing.length > 0)(dcmtk.title, () => {
  it.each([
    ['Καναρίνι*', 'Καναρίνι^Ασθενής'],
    ['*かなりあ^*', 'Canary^Patient=金糸雀^患者=かなりあ^かんじゃ'],
    ['КАНАРЕЙКА^*', 'Канарейка^Пациент'],
    ['קנרית?חולה', 'קנרית^חולה'],
  ])('findscu finds %s in UTF-8', async (asked, name) => {
    const keys = ['SpecificCharacterSet=ISO_IR 192', 'QueryRetrieveLevel=PATIENT', `PatientName=${asked}`]
    const args = ['-X', '-od', folder, '-P', ...keys.flatMap(key => ['-k', key]), '-aec', 'RAYLOG']
    await run('findscu', [...args, '127.0.0.1', String(node.port)], { env: { ...process.env, TCP_NODELAY: '1' } })
    const answer = join(folder, 'rsp0001.dcm')
    const { stdout } = await run('dcmdump', ['-q', '+L', '+P', 'PatientName', answer])
    await rm(answer)
    expect(stdout).toContain(`[${name}]`)
  })
})
