/** The report for people, read by programs that are not ours. */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { javaWith } from '../../../../tests/harness/java.ts'
import { aContent, aRevision, identity } from '../../../../tests/reports/content.ts'
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
}

let folder: string
const pathOf = (name: string) => join(folder, `${name}.pdf`)
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'raylog-pdf-'))
  const options = { create: { width: 64, height: 64, channels: 3 as const, background: '#888' } }
  const png = await sharp(options).greyscale().jpeg().toBuffer()
  for (const [name, content] of Object.entries(contents)) {
    const pictures = new Map(picturesOf(content).map(one => [pictureKey(one), { png }]))
    await writeFile(pathOf(name), await renderStudy({ content, pictures }))
  }
})
afterAll(() => rm(folder, { recursive: true }))

const textOf = async (name: string) => {
  await run('pdftotext', ['-layout', pathOf(name), join(folder, 'text')])
  return readFile(join(folder, 'text'), 'utf8')
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
