import PDFDocument from 'pdfkit'
import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { aContent, aFinding, aLongStudy, anImage, aRevision, identity } from '../../../../tests/reports/content.ts'
import type { StudyContent } from '../../study/format.ts'
import { openThreads } from '../../threads.ts'
import type { Picture } from './cells.ts'
import { picturedFindings, pictureKey, picturesOf } from './choose.ts'
import { renderStudy } from './document.ts'
import { drawable, runsOf } from './fonts.ts'
import { Pen } from './pen.ts'

const jpeg = await sharp({ create: { width: 40, height: 20, channels: 3, background: '#888' } })
  .jpeg()
  .toBuffer()
const pagesOf = (content: StudyContent, picture: Picture = { png: jpeg }) => ({
  content,
  pictures: new Map(picturesOf(content).map(one => [pictureKey(one), picture])),
})
const countOf = (pdf: Buffer) => pdf.toString('latin1').match(/\/Type \/Page\b/g)?.length ?? 0
const withFindings = (findings: StudyContent['assessed']['findings'], over: Partial<StudyContent> = {}) => {
  const content = aContent(over)
  return { ...content, assessed: { ...content.assessed, findings } }
}

describe('the report for people', () => {
  it('is the same whichever thread, time zone or day draws it', async () => {
    const threads = openThreads({ threads: 1, timeoutMs: 60_000, recycleAfter: 1000 })
    const there = await threads.draw('studyPages', pagesOf(aContent()), new AbortController().signal)
    const zone = process.env.TZ
    process.env.TZ = 'Pacific/Auckland'
    const here = await renderStudy(pagesOf(aContent()))
    if (zone === undefined) delete process.env.TZ
    else process.env.TZ = zone
    expect(here.equals(there)).toBe(true)
    await threads.close()
  })

  it('is another one for another revision, language, name, setting of names, or past of the patient', async () => {
    const all = [aContent(), aRevision(), aContent({ language: 'fr' }), aContent({ showNames: false })]
    all.push(aContent({ identity: { ...identity, name: 'Other^Name' } }))
    all.push(aContent({ earlier: aLongStudy().earlier }))
    const drawn = await Promise.all(all.map(content => renderStudy(pagesOf(content))))
    expect(new Set(drawn.map(pdf => pdf.toString('latin1'))).size).toBe(all.length)
  })

  it('says nothing of a name that it may not show', async () => {
    const hidden = aContent({ showNames: false })
    const other = { ...hidden, identity: { ...identity, name: 'Other^Name', patientId: '2', birthDate: '19990101' } }
    expect((await renderStudy(pagesOf(other))).equals(await renderStudy(pagesOf(hidden)))).toBe(true)
  })

  it.each<[string, StudyContent, Picture?]>([
    ['nobody and nothing', aContent({ identity: null, images: [], header: null, institution: null })],
    ['no finding', withFindings([])],
    ['a picture that is gone', aContent(), { missing: 'The stored object is gone.' }],
    ['a damaged picture', aContent(), { png: jpeg.subarray(0, 30) }],
    ['no picture at all', aContent(), { png: Buffer.from('GIF89a') }],
    ['an endless label', withFindings([aFinding({ label: 'x'.repeat(5000), group: 'y'.repeat(500) })])],
    ['no number', withFindings([aFinding({ score: Number.NaN, threshold: Number.NaN })])],
    ['numbers out of range', withFindings([aFinding({ score: 7, threshold: -2 })])],
    ['many flags', withFindings([aFinding({ quality: Array.from({ length: 50 }, (_, i) => `flag ${i}`) })])],
    [
      'regions out of the image',
      aContent({
        images: [
          anImage(1, { regions: [{ label: 'a', score: 1, frame: 1, points: [-5, -5, 1e9, 0, 5, Number.NaN] }] }),
          anImage(2, { regions: [{ label: 'a', score: 1, frame: 9, points: [1, 1, 9, 9, 5, 1] }] }),
        ],
      }),
    ],
  ])('is drawn with %s', async (_, content, picture) => {
    const pdf = await renderStudy(pagesOf(content, picture))
    expect(pdf.subarray(0, 5).toString()).toBe('%PDF-')
    expect(countOf(pdf)).toBeGreaterThan(0)
  })

  it('ends: hundreds of images and findings are some pages, not an archive', async () => {
    const images = Array.from({ length: 300 }, (_, i) => ({ ...anImage(1), id: `in_${i}` }))
    const instances = images.map(({ id }) => id)
    const findings = Array.from({ length: 100 }, (_, i) =>
      aFinding({ label: `finding ${i}`, instances, positive: 1000 }),
    )
    const content = withFindings(findings, { images })
    expect(picturesOf(content).length).toBeLessThanOrEqual(24)
    expect(countOf(await renderStudy(pagesOf(content)))).toBeLessThan(30)
  })
})

describe('pictures', () => {
  it('are of the surest images of what was found, then of the nearest of what was not', () => {
    const images = [1, 2, 3, 4, 5, 6].map(n => anImage(n, { probabilities: { pneumonia: 0.91, nodule: n / 100 } }))
    const found = aFinding({ instances: ['in_0006', 'in_0005', 'in_0004', 'in_0003', 'in_0002'], positive: 5 })
    const absent = aFinding({ label: 'nodule', present: false, instances: [] })
    const [first, second] = picturedFindings(withFindings([absent, found], { images }))
    expect(first?.finding.label).toBe('pneumonia')
    expect(first?.pictures.map(({ image }) => image.id)).toEqual(['in_0006', 'in_0005', 'in_0004', 'in_0003'])
    expect(first?.more).toBe(1)
    expect(second?.pictures.map(({ image }) => image.id)).toEqual(['in_0006'])
  })

  it('show of a finding what was outlined for it, and its own score', () => {
    const region = { label: 'pneumonia', score: 1, frame: 1, points: [1, 1, 2, 2, 3, 1] }
    const said = { regions: [region], probabilities: { pneumonia: 0.91, nodule: 0.05, normal: 0.04 } }
    const absent = aFinding({ label: 'nodule', present: false, instances: [] })
    const [first, second] = picturedFindings(withFindings([aFinding(), absent], { images: [anImage(1, said)] }))
    expect(first?.pictures[0]).toMatchObject({ score: 0.91, regions: [region] })
    expect(second?.pictures[0]).toMatchObject({ score: 0.05, regions: [] })
  })

  it('are of the frame that the model outlined', () => {
    const regions = [{ label: 'a', score: 1, frame: 3, points: [1, 1, 2, 2, 3, 1] }]
    const [one] = picturesOf(aContent({ images: [anImage(1, { regions })] }))
    expect(one?.frame).toBe(3)
  })
})

describe('the fonts', () => {
  it.each([
    ['Müller', true],
    ['Łukasz Żółć', true],
    ['Иванов', true],
    ['Αλέξανδρος Ὀδυσσεύς', true],
    ['山田 太郎 やまだ ヤマダ', true],
    ['Mu\u0308ller', true],
    ['김민준', false],
    ['محمد', false],
    ['דוד', false],
    ['\u{1f4a5}', false],
  ])('can draw %s: %s', (text, expected) => {
    expect(drawable(text)).toBe(expected)
  })

  it('change within a text, and show a question mark for what none has', () => {
    expect(runsOf('Yamada 山田 \u0007x\u{1f4a5}', 'bold')).toEqual([
      { font: 'bold', text: 'Yamada ' },
      { font: 'japanese', text: '山田  ' },
      { font: 'bold', text: 'x?' },
    ])
  })
})

describe('the pen', () => {
  const pen = new Pen(new PDFDocument())
  it('wraps at words, breaks one that is too long, and loses nothing', () => {
    const text = `one two ${'long'.repeat(60)} three`
    const lines = pen.wrapped(text, 100)
    for (const line of lines) expect(pen.width(line)).toBeLessThanOrEqual(100)
    expect(lines.join('').replaceAll(' ', '')).toBe(text.replaceAll(' ', ''))
  })

  it('cuts what does not fit, by whole characters', () => {
    const cut = pen.cut('𠮷'.repeat(50), 100)
    expect(pen.width(cut)).toBeLessThanOrEqual(100)
    expect(cut.isWellFormed()).toBe(true)
    expect(pen.cut('short', 100)).toBe('short')
  })
})
