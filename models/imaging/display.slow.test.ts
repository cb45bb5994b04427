/** What a preview shows beside what DCMTK's viewer shows: windows, tables, overlays. Padding it does not know. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'
import { titleOf } from '../../tests/harness/tools.ts'
import { decodeFrame } from './decode.ts'
import { toPreview } from './preview.ts'

const run = promisify(execFile)
const fixtures = join(import.meta.dirname, '../fixtures/imaging')
const folder = mkdtempSync(join(tmpdir(), 'raylog-display-'))
afterAll(() => rmSync(folder, { recursive: true }))

const window = ['+Wi', '1']
const table = ['+Wl', '1']
const cases: [file: string, frame: number, flags: string[]][] = [
  ['window-linear', 1, window],
  // It ignores the word, and shows it as LINEAR: to one grey level the same.
  ['window-linear-exact', 1, window],
  ['window-sigmoid', 1, window],
  ['monochrome1', 1, window],
  ['modality-lut', 1, window],
  ['voi-lut', 1, table],
  ['voi-lut-signed', 1, table],
  ['overlay-graphics', 1, []],
  ['overlay-big-endian', 1, []],
  ['overlay-monochrome1', 1, []],
  ['overlay-outside', 1, []],
  ['overlay-embedded', 1, window],
  ['overlay-frames', 1, []],
  ['overlay-frames', 2, []],
  ['overlay-frames', 3, []],
]

const dcmtk = titleOf('DCMTK', ['dcmj2pnm'])

describe.skipIf(dcmtk.missing.length > 0)(`a preview shows what ${dcmtk.title} shows, to one grey level`, () => {
  it.each(cases)('%s, frame %i', async (file, frame, flags) => {
    const path = join(fixtures, `${file}.dcm`)
    const picture = join(folder, `${file}-${frame}.pgm`)
    await run('dcmj2pnm', ['--write-raw-pnm', ...flags, '+F', String(frame), path, picture])
    const { data } = toPreview(await decodeFrame(readFileSync(path), frame))
    const shown = readFileSync(picture).subarray(-data.length)
    expect(shown.length).toBe(data.length)
    expect(new Set(shown).size).toBeGreaterThan(1)
    expect(Math.max(...shown.map((grey, i) => Math.abs(grey - (data[i] ?? 0))))).toBeLessThanOrEqual(1)
  })
})
