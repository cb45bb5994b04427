/** DICOMweb by tools that others wrote: dicomweb-client, pydicom's DICOM JSON, Orthanc as a client. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { DicomAttributes, DicomElement } from '../../schemas/dicom-json.ts'
import { pythonWith, runPython } from '../harness/python.ts'
import { sharedPath } from '../shared.ts'
import { type Kit, openDicomweb, token } from './kit.ts'

const packages = ['pydicom==3.0.1', 'dicomweb-client==0.60.1', 'numpy==2.2.6', 'pillow==12.0.0']
const found = await pythonWith(packages)
const missing = 'missing' in found ? ` (skipped: ${found.missing})` : ''
const python = 'python' in found ? found.python : ''
const shared = sharedPath('data/dicom')
const fixtures = join(import.meta.dirname, '../../models/fixtures/imaging')
const script = (name: string) => join(import.meta.dirname, name)

/** Native, big endian, deflated, compressed, palettes, character sets, functional groups, overlays, floats: all of one study. */
const ours = [
  ...['implicit-i16.dcm', 'explicit-u8.dcm', 'explicit-u16-frames.dcm', 'signed-12-bits.dcm', 'u32.dcm'],
  ...['big-endian-i16-12-bits.dcm', 'big-endian-i32.dcm', 'big-endian-u16.dcm', 'big-endian-u8-ow.dcm'],
  ...['deflated-u8.dcm', 'rle-uint16.dcm', 'jpeg-50-ybr-422.dcm', 'jpeg-57-uint16.dcm', 'jpeg-ls-80-uint16.dcm'],
  ...[
    'j2k-90-uint8-rgb.dcm',
    'htj2k-201-uint16.dcm',
    'rgb-planes.dcm',
    'rgb-16-big-endian.dcm',
    'palette-segmented.dcm',
  ],
  ...['functional-groups.dcm', 'functions-by-frame.dcm', 'overlay-big-endian.dcm', 'float32.dcm', 'no-pixels.dcm'],
  ...['arabic', 'cyrillic', 'gb18030', 'greek', 'hebrew', 'japanese-katakana', 'japanese', 'korean'].map(charset),
  ...['latin-1', 'thai', 'utf-8'].map(charset),
]

function charset(name: string): string {
  return `charset-${name}.dcm`
}

/** Native, big endian, deflated, compressed, a palette, character sets, an SR and a PDF. */
const theirs = [
  'ct-ref-explicit__CT1_UNC.dcm',
  'mrimplicit__MR_small_implicit.dcm',
  'deflated__image_dfl.dcm',
  'jpeg-57-mr__JPEGLossless_1s_1f_u_16_12.dcm',
  'j2k-90-rct-us__US1_J2KR.dcm',
  'palette__examples_palette.dcm',
  'be-multiframe-mr__emri_small_big_endian.dcm',
  'charset__chrH31.dcm',
  'charset__chrArab.dcm',
  'pdf__pdf.dcm',
  'sr__sr.dcm',
]

/** Those that the project brings, and the ones of others where they are there. */
const corpora = [
  { what: 'of its own', folder: fixtures, files: ours, atLeast: 170, title: '' },
  {
    what: 'of others',
    folder: shared,
    files: theirs,
    atLeast: 40,
    title: shared === undefined ? ' (skipped: needs the shared data)' : '',
  },
]

/** Of one series, many frames each. */
const frames = [
  'explicit-u16-frames.dcm',
  'rle-frames.dcm',
  'jpeg-ls-80-frames.dcm',
  'j2k-90-frames.dcm',
  'rgb-planes-frames.dcm',
]

let kit: Kit
beforeEach(async () => {
  kit = await openDicomweb()
})
afterEach(() => kit.close())

describe.skipIf(missing !== '')(`dicomweb-client${missing}`, () => {
  for (const { what, folder, files, title } of corpora) {
    const name = `stores, searches, and retrieves objects, metadata, frames, bulk data and pictures ${what}${title}`
    it.skipIf(folder === undefined)(
      name,
      async () => {
        const paths = files.map(file => join(folder ?? '', file))
        const seen = JSON.parse(await runPython(python, [script('client.py'), kit.base, token, ...paths]))
        expect(seen.stored).toBe(files.length)
        for (const [index, file] of seen.files.entries()) {
          const { studies, ...facts } = file
          expect(studies, files[index]).toBe(1)
          expect(facts, files[index]).toEqual(Object.fromEntries(Object.keys(facts).map(name => [name, true])))
        }
      },
      300_000,
    )
  }
})

describe.skipIf(missing !== '')(`a viewer made of dicomweb-client${missing}`, () => {
  it('pages through a study of many frames, and has frames, ranges and pictures of it', async () => {
    const paths = frames.map(file => join(fixtures, file))
    const seen = JSON.parse(await runPython(python, [script('viewer.py'), kit.base, token, ...paths]))
    expect(seen).toEqual({
      ...{ stored: frames.length, refused: [[0xc000, true]], 'of another study': 409 },
      ...{ 'without the token': 401, unknown: [404, 404, 404] },
      ...{ pages: true, 'all pages': true, remaining: true },
      fields: [true, false, true],
      // Literal matching only, whatever is asked for; without regard to case.
      names: [1, 1, 0, 1],
      ...{ series: true, 'study, one by one': true, metadata: [true, true] },
      frames: Object.fromEntries(frames.map(file => [file, true])),
      ...{ range: true, 'range to the end': true, 'in pieces': true },
      viewport: frames.map(() => 12),
      window: [
        [255, 255],
        [0, 0],
      ],
      jpeg: true,
      pictures: true,
      functions: [true, true],
      video: { '1.2.840.10008.1.2.4.102': [true, true], '1.2.840.10008.1.2.4.106': [true, true] },
    })
  }, 300_000)
})

/**
 * Where our metadata differ from pydicom's, and why each is as it should be:
 * - Specific Character Set is ISO_IR 192, since JSON is UTF-8 (PS3.18 F.2); group lengths are not part of it
 * - an empty value among several is null (F.2.5); pydicom writes an empty text
 * - private elements of implicit VR are UN; pydicom knows some manufacturers' dictionaries
 * - padding behind compressed pixels (FFFC,FFFC) is not read
 * - pydicom does not know Latin-9, and takes what announces Chinese a second time for characters: such names are those of names.json
 */
function explained(path: string, ours: DicomElement | undefined, theirs: DicomElement | undefined): boolean {
  if (path.endsWith('00080005')) return ours?.Value?.[0] === 'ISO_IR 192'
  if (path.endsWith('0000')) return ours === undefined
  if (path === 'FFFCFFFC') return true
  const isPrivate = Number.parseInt(path.at(-5) ?? '0', 16) % 2 === 1
  if (isPrivate && ours?.vr === 'UN') return theirs?.vr !== 'UN'
  const empty = theirs?.Value?.map(value => (value === '' ? null : value))
  return JSON.stringify({ ...theirs, Value: empty }) === JSON.stringify(ours)
}

function differences(ours: DicomAttributes, theirs: DicomAttributes, above = ''): string[] {
  return [...new Set([...Object.keys(ours), ...Object.keys(theirs)])].flatMap(tag => {
    const path = above + tag
    const [mine, their] = [plain(ours[tag]), plain(theirs[tag])]
    if (mine?.vr === 'SQ' && their?.vr === 'SQ') {
      const [items, others] = [mine.Value ?? [], their.Value ?? []]
      if (items.length !== others.length) return [`${path}: ${items.length} items, ${others.length} expected`]
      return items.flatMap((item, index) => differences(Object(item), Object(others[index]), `${path}/${index}/`))
    }
    if (JSON.stringify(mine) === JSON.stringify(their) || explained(path, mine, their)) return []
    return [`${path}: ${JSON.stringify(mine)?.slice(0, 80)}, ${JSON.stringify(their)?.slice(0, 80)} expected`]
  })
}

/** References by being one; no values the same as none. */
function plain(element: DicomElement | undefined): DicomElement | undefined {
  if (element === undefined) return undefined
  const { vr, Value, InlineBinary, BulkDataURI } = element
  return {
    vr,
    ...(Value !== undefined && Value.length > 0 && { Value }),
    ...(InlineBinary !== undefined && { InlineBinary }),
    ...(BulkDataURI !== undefined && { BulkDataURI: '' }),
  }
}

describe.skipIf(missing !== '')(`pydicom's DICOM JSON${missing}`, () => {
  for (const { what, folder = '', atLeast, title } of corpora) {
    it.skipIf(folder === '')(
      `is what the metadata of each file ${what} are${title}`,
      async () => {
        const { wrong, compared } = await comparedWithPydicom(folder)
        expect(wrong).toEqual([])
        expect(compared).toBeGreaterThan(atLeast)
      },
      300_000,
    )
  }
})

/** Whose names pydicom does not read as they are written. */
const notOfPydicom = ['charset-latin-9.dcm', 'charset-chinese.dcm']
const names: Record<string, string> = JSON.parse(await readFile(join(fixtures, 'names.json'), 'utf8'))

function nameIn(file: string): DicomElement {
  const [alphabetic = '', ideographic] = names[file]?.split('=') ?? []
  return { vr: 'PN', Value: [{ Alphabetic: alphabetic, ...(ideographic && { Ideographic: ideographic }) }] }
}

async function comparedWithPydicom(folder: string): Promise<{ wrong: string[]; compared: number }> {
  const reference = script('../../models/imaging/json/reference.py')
  const expected: Record<string, DicomAttributes & { fault?: string }> = JSON.parse(
    await runPython(python, [reference, folder]),
  )
  const wrong: string[] = []
  let compared = 0
  for (const [file, theirs] of Object.entries(expected)) {
    if (typeof theirs.fault === 'string') continue // no DICOM, or none that pydicom reads
    const bytes = await readFile(join(folder, file))
    const object = await kit.stores.objects.put(bytes, 'application/dicom')
    try {
      const { attributes } = await kit.stores.images.dicom.header(object, path => path)
      const written: DicomAttributes = theirs
      if (notOfPydicom.includes(file)) written['00100010'] = nameIn(file)
      wrong.push(...differences(attributes, written).map(each => `${file} ${each}`))
      compared++
    } catch (thrown) {
      // Refused when they come in as well, so that nobody asks for their metadata.
      expect((await kit.store([bytes])).status, `${file}: ${String(thrown)}`).toBe(409)
    }
  }
  return { wrong, compared }
}
