/**
 * Decoding, in megapixels a second on one core, by transfer syntax, beside pydicom with the decoders that it uses by itself
 * (pylibjpeg, GDCM). Real files, from the folder that RAYLOG_SHARED names. `node bench/decode.ts [--seconds 2]`
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { decodeFrame } from '../models/imaging/decode.ts'
import { pythonWith, runPython } from '../tests/harness/python.ts'
import { sharedPath } from '../tests/shared.ts'
import { markdown, type Row, round } from './table.ts'

const { values: flags } = parseArgs({
  options: { seconds: { type: 'string', default: '2' } },
})
const seconds = Number(flags.seconds)

/** What is decoded, and the name of a file of it. */
const files: readonly (readonly [what: string, file: string])[] = [
  ['Explicit VR Little Endian, CT 16 bits', 'ct-ref-explicit__CT1_UNC.dcm'],
  ['RLE Lossless, CT 16 bits', 'rle__CT1_RLE.dcm'],
  ['JPEG Baseline (.50), ultrasound 8 bits YBR', 'jpeg-50-us-30fr-ybr422__examples_ybr_color.dcm'],
  ['JPEG Extended (.51), XA 12 bits', 'jpeg-51-12-bit-xa__XA1_JPLY.dcm'],
  ['JPEG Lossless (.57), MR 16 bits', 'jpeg-57-mr__JPEGLossless_1s_1f_u_16_12.dcm'],
  ['JPEG Lossless SV1 (.70), CT 16 bits', 'jpeg-70-ct__CT1_JPLL.dcm'],
  ['JPEG-LS Lossless (.80), CT 16 bits', 'jpeg-ls-80-ct__CT1_JLSL.dcm'],
  ['JPEG-LS Near-Lossless (.81), MR', 'jpeg-ls-81-mr__MR4_JLSN.dcm'],
  ['JPEG 2000 Lossless (.90), CT 16 bits', 'j2k-90-ct__CT1_J2KR.dcm'],
  ['JPEG 2000 (.91), mammogram 3064 x 4664', 'mg-3064x4664__MG1_J2KI.dcm'],
  ['HTJ2K Lossless (.201), RGB 8 bits', 'htj2k-201-rgb__HTJ2KLossless_08_RGB.dcm'],
]

const folder = sharedPath('data', 'dicom')
if (folder === undefined) {
  console.log(JSON.stringify({ bench: 'decode', skipped: 'RAYLOG_SHARED names no folder with data/dicom', rows: [] }))
  process.exit(0)
}
const paths = files.map(([, name]) => join(folder, name))

/** Of CPU time: others may use this machine. */
async function ours(path: string): Promise<number> {
  const bytes = await readFile(path)
  const { rows, columns } = await decodeFrame(bytes) // loads the codec
  const begun = process.cpuUsage()
  let frames = 0
  for (const until = performance.now() + seconds * 1000; performance.now() < until; frames++) await decodeFrame(bytes)
  const { user, system } = process.cpuUsage(begun)
  return (frames * rows * columns) / (user + system)
}

const packages = ['pydicom==3.0.1', 'numpy==2.2.6', 'python-gdcm==3.0.24.1', 'pylibjpeg==2.1.0']
const plugins = ['pylibjpeg-libjpeg==2.3.0', 'pylibjpeg-openjpeg==2.5.0', 'pylibjpeg-rle==2.1.0']
const python = await pythonWith([...packages, ...plugins])
const answer = z.array(z.number().nullable())
const theirs =
  'python' in python
    ? answer.parse(
        JSON.parse(
          await runPython(python.python, [join(import.meta.dirname, 'decode', 'measure.py'), flags.seconds, ...paths]),
        ),
      )
    : []
if ('missing' in python) console.error(`pydicom is left out: ${python.missing}`)

const rows: Row[] = []
for (const [i, [what]] of files.entries()) {
  const raylog = await ours(paths[i] ?? '')
  const pydicom = theirs[i] ?? null
  rows.push({
    what,
    figures: {
      'Raylog MP/s': round(raylog, 1),
      'pydicom MP/s': pydicom === null ? '' : round(pydicom, 1),
      ratio: pydicom === null ? '' : round(raylog / pydicom, 2),
    },
  })
}
console.log(markdown(rows))
console.log(JSON.stringify({ bench: 'decode', rows }))
process.exit(0) // codecs keep workers of their own
