/** The report for people, read by programs that are not ours. */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { javaWith } from '../../../../tests/harness/java.ts'
import { aContent, aLongStudy, aRevision, identity } from '../../../../tests/reports/content.ts'
import type { StudyContent } from '../../study/format.ts'
import { pictureKey, picturesOf } from './choose.ts'
import { renderStudy } from './document.ts'

const run = promisify(execFile)
const hasPoppler = await run('pdftotext', ['-v']).then(
  () => true,
  () => false,
)
const checker = await javaWith(
  ['org.verapdf:validation-model:1.30.2'],
  resolve(import.meta.dirname, '../../../../tests/reports/java/PdfCheck.java'),
)

const named = (name: string): StudyContent => aContent({ identity: { ...identity, name } })
const contents: Record<string, StudyContent> = {
  english: aContent(),
  french: aRevision({ language: 'fr', showNames: false }),
  spanish: aContent({ language: 'es', identity: null, images: [] }),
  cyrillic: named('Достоевский^Фёдор'),
  greek: named('Παπαδόπουλος^Ἀλέξανδρος'),
  korean: named('Hong^Gildong=洪^吉洞=홍^길동'),
  arabic: named('محمد^علي'),
  revised: aRevision(),
  long: aLongStudy(),
  longFrench: aLongStudy({ language: 'fr' }),
  longSpanish: aLongStudy({ language: 'es' }),
}

/** Each image has a picture of its own width. */
const widthOf = (id: string) => 64 + Number(id.slice(-1))

let folder: string
const pathOf = (name: string) => join(folder, `${name}.pdf`)
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'raylog-pdf-'))
  for (const [name, content] of Object.entries(contents)) {
    const pictures = new Map<string, { png: Buffer }>()
    for (const one of picturesOf(content)) {
      const create = { width: widthOf(one.image.id), height: 64, channels: 3 as const, background: '#888' }
      pictures.set(pictureKey(one), { png: await sharp({ create }).greyscale().jpeg().toBuffer() })
    }
    await writeFile(pathOf(name), await renderStudy({ content, pictures }))
  }
})
afterAll(() => rm(folder, { recursive: true }))

const textOf = async (name: string, layout = true) => {
  await run('pdftotext', [...(layout ? ['-layout'] : []), pathOf(name), join(folder, 'text')])
  return readFile(join(folder, 'text'), 'utf8')
}

/** Text of each page, on one line. */
const pagesOf = async (name: string) =>
  (await textOf(name, false))
    .split('\f')
    .slice(0, -1)
    .map(page => page.replace(/\s+/g, ' '))

/** Widths of the pictures on each page, as they stand. */
async function picturesIn(name: string): Promise<number[][]> {
  const { stdout } = await run('pdfimages', ['-list', pathOf(name)])
  const rows = stdout.trim().split('\n').slice(2)
  const pictures = rows.map(row => row.trim().split(/\s+/).map(Number))
  const last = Math.max(...pictures.map(([page = 0]) => page))
  return Array.from({ length: last }, (_, i) =>
    pictures.flatMap(([page, , , width = 0]) => (page === i + 1 ? width : [])),
  )
}

describe('the report for people', () => {
  it.skipIf(!hasPoppler)(`has text that can be found${hasPoppler ? '' : ' (needs pdftotext)'}`, async () => {
    const english = await textOf('english')
    for (const said of [
      'RESEARCH USE ONLY',
      'Yamada, Tarou (山田, 太郎)',
      '31 January 1970',
      'Found: pneumonia.',
      'Preliminary: made by software. No person has verified it.',
      'The score 0.910 is at or above the threshold 0.500.',
      'chest@1.0.0',
      'd'.repeat(64),
      'Image 1 of 2',
      '1.2.3.1.1',
      'Page 1 of ',
    ])
      expect(english).toContain(said)
    const french = await textOf('french')
    for (const said of ['RECHERCHE UNIQUEMENT', 'Révision 2 : remplace la révision 1.', '0,910', 'décembre 2025'])
      expect(french).toContain(said)
    expect(french).not.toMatch(/Yamada|山田|P-17|1970/)
    expect(await textOf('spanish')).toContain('SOLO PARA INVESTIGACIÓN')
  })

  it.skipIf(!hasPoppler)('shows each finding with its pictures, model and version, page after page', async () => {
    const pages = await pagesOf('long')
    expect(pages).toHaveLength(4)
    const pictures = await picturesIn('long')
    // The surest first; of what was not found the one that came nearest.
    expect(pictures).toEqual([[], ['in_2', 'in_1', 'in_4'].map(widthOf), ['in_5', 'in_1'].map(widthOf)])
    for (const [at, title, model, numbers] of [
      [1, 'pneumonia: found', 'chest@1.0.0', [2, 1]],
      [1, 'nodule (left): found', 'nodules@2.3.1', [4]],
      [2, 'nodule (right): found', 'nodules@2.3.1', [5]],
      [2, 'pleural effusion: not found', 'chest@1.0.0', [1]],
    ] as const) {
      const [, section = ''] = pages[at]?.split(title) ?? []
      expect(section, title).toContain(model)
      for (const number of numbers) expect(section, title).toContain(`Image ${number} of 6`)
    }
    for (const [i, page] of pages.entries()) {
      expect(page).toContain(`Page ${i + 1} of 4`)
      // A page that was taken out of the others is still somebody's.
      expect(page).toMatch(/Yamada, Tarou \(山田, 太郎\).*31 January 1970.*P-17 · HOSP/)
      expect(page).toContain('RESEARCH USE ONLY')
    }
  })

  it.skipIf(!hasPoppler)('says all that makes an answer doubtful', async () => {
    const near = 'Quality: near the threshold: read this result as uncertain'
    const uncertain = 'Quality: no answer is much likelier than the others: read this result as uncertain'
    const [, found = '', absent = ''] = await pagesOf('long')
    // The same answer stands under what it found and under what it did not.
    for (const section of [found.split('nodule (left)')[0] ?? '', absent.split('pleural effusion')[1] ?? ''])
      for (const said of [near, uncertain, 'Quality: the model looked at one frame of several', 'Quality: motion'])
        expect(section).toContain(said)
    // Of the finding itself, and of its image.
    expect(absent.split('pleural effusion')[0]?.split(near)).toHaveLength(3)
    expect((await pagesOf('longFrench')).join()).toContain('Qualité : le modèle n’a examiné qu’une vue sur plusieurs')
    expect((await pagesOf('longSpanish')).join()).toContain('Calidad: el modelo examinó un solo fotograma de varios')
  })

  it.skipIf(!hasPoppler)('says of a revision which one it replaces, and what changed', async () => {
    const [first = ''] = await pagesOf('revised')
    expect(first).toContain('Revision 2: replaces revision 1.')
    const [, changed = ''] = first.split('What changed')
    expect(changed).toMatch(/1 image came late – pneumonia \(left\): now found – nodule: no longer looked for/)
    expect((await pagesOf('french'))[0]).toMatch(/Ce qui a changé – 1 image est arrivée en retard/)
    expect((await pagesOf('english')).join()).not.toContain('What changed')
  })

  it.skipIf(!hasPoppler)('names what was found in the patient before, newest first', async () => {
    for (const [name, heading, ...said] of [
      [
        'long',
        'Earlier examinations of this patient here',
        /22 November 2025 at 00:00:00 UTC DX · Found: pneumonia\. · Looked for and not found: nodule\./,
        /27 November 2024 at 00:00:00 UTC DX · Looked for and not found: pneumonia\./,
        /16 July 2023 at 00:00:00 UTC CT · not assessed/,
      ],
      ['longFrench', 'Examens antérieurs de ce patient ici', /22 novembre 2025 .*27 novembre 2024 .*16 juillet 2023 /],
      [
        'longSpanish',
        'Estudios anteriores de este paciente aquí',
        /22 de noviembre de 2025 .*27 de noviembre de 2024 /,
      ],
    ] as const) {
      const [, history = ''] = (await pagesOf(name)).join(' ').split(heading)
      for (const one of said) expect(history, name).toMatch(one)
    }
    expect(await textOf('english')).toContain('None is known here.')
  })

  it.skipIf(!hasPoppler)('writes names in their script, or the form of them that it can', async () => {
    expect(await textOf('cyrillic')).toContain('Достоевский, Фёдор')
    expect(await textOf('greek')).toContain('Παπαδόπουλος, Ἀλέξανδρος')
    expect(await textOf('korean')).toContain('Hong, Gildong (洪, 吉洞)')
    expect(await textOf('arabic')).toContain('cannot be printed here')
  })

  it.skipIf('missing' in checker)(
    `is valid PDF/A-2b (${'missing' in checker ? checker.missing : 'veraPDF'})`,
    async () => {
      if ('missing' in checker) return
      const files = Object.keys(contents).map(pathOf)
      expect((await checker.run(files)).trim().split('\n')).toEqual(files.map(file => `${file}\tvalid`))
    },
  )
})
