/** Every format fed what no sensible model says: it ends, in bounded room and time, and nothing that is said becomes markup. */
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { aContent, aFinding, anImage } from '../../../tests/reports/content.ts'
import { studyFormats } from '../formats.ts'
import type { RenderedReport, StudyContent, StudyTools } from '../study/format.ts'
import { openThreads, type Threads } from '../threads.ts'

const markup = '<script>alert(1)</script>&amp;"\\|^~,\r\n=1+1</span><b>'
const count = 2_000
const long = `${markup} ${'endless text '.repeat(8_000)}`

/** Of RFC 4180, which says what else than this a table must not be. */
function rowsOf(csv: string): string[][] {
  const rows: string[][] = [[]]
  let read = 0
  for (const [all, cell = '', end] of csv.matchAll(/("(?:[^"]|"")*"|[^",\r\n]*)(,|\r\n)/g)) {
    read += all.length
    rows.at(-1)?.push(cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell)
    if (end !== ',') rows.push([])
  }
  expect(read).toBe(csv.length)
  return rows.slice(0, -1)
}

const images = Array.from({ length: count }, (_, i) => {
  const regions = i % 100 === 0 ? [{ label: markup, score: 9, frame: 1, points: [-5, -5, 9e9, 1, 30, 30] }] : []
  const { prediction } = anImage(i + 1).said[0] ?? {}
  const model = { ...prediction?.model, name: markup }
  return anImage(i + 1, {
    regions,
    explanation: i % 100 === 0 ? markup : null,
    label: i === 0 ? long : markup,
    score: Number.NaN,
    ...(prediction && { model: { ...prediction.model, ...model } }),
  })
})
const rubbish: StudyContent = aContent({ images })
const finding = aFinding({ model: `${markup}@1`, label: long, instances: images.map(({ id }) => id), quality: [long] })
const content: StudyContent = {
  ...rubbish,
  assessed: {
    ...rubbish.assessed,
    findings: [
      finding,
      { ...finding, label: markup, present: false, group: long },
      { ...finding, label: 'constructor' },
    ],
    missing: images.map(({ id }) => ({ instance: id, model: markup, code: markup })),
  },
}

describe(`a study of ${count} images, a finding of ${Math.round(long.length / 1000)} kB, models with markup for a name`, () => {
  let threads: Threads
  let made: Map<string, readonly RenderedReport[]>
  beforeAll(async () => {
    threads = openThreads({ threads: 1, timeoutMs: 60_000, recycleAfter: 1000 })
    const black = sharp({ create: { width: 8, height: 8, channels: 3, background: '#000' } })
    const [png, jpeg] = await Promise.all([black.clone().png().toBuffer(), black.clone().jpeg().toBuffer()])
    const context = { threads, previewPixels: 768, captures: 3, linkBase: null, attachPdf: false }
    const systems = { patients: {}, accessions: null }
    const formats = Object.values(studyFormats).map(open => open({ ...context, systems }))
    const tools: StudyTools = {
      signal: new AbortController().signal,
      preview: async (_, { format }) => ({ png: format === 'jpeg' ? jpeg : png }),
      // No PNG.
      explanation: async () => ({ png: jpeg.subarray(0, 40) }),
      header: async () => ({ missing: markup }),
      rendered: async name => (await formats.find(one => one.name === name)?.render(content, tools)) ?? [],
    }
    made = new Map(await Promise.all(formats.map(async one => [one.name, await one.render(content, tools)] as const)))
  }, 120_000)
  afterAll(() => threads.close())

  const text = (format: string) => Buffer.from(made.get(format)?.[0]?.bytes ?? []).toString()

  it('has a report in every format, none of which is an archive', () => {
    expect([...made.keys()].sort()).toEqual(Object.keys(studyFormats).sort())
    for (const [format, parts] of made) {
      expect(parts.length, format).toBeGreaterThan(0)
      const bytes = parts.reduce((sum, part) => sum + part.bytes.length, 0)
      expect(bytes, format).toBeLessThan(4 * 2 ** 20)
    }
  })

  it('is some pages', () => {
    const pages = text('pdf-study').match(/\/Type \/Page\b/g)?.length
    expect(pages).toBeGreaterThan(3)
    expect(pages).toBeLessThan(40)
  })

  it('says what it is told as text, which makes no segment of a message and no element of a page', () => {
    expect(JSON.parse(text('json'))).toMatchObject({
      findings: [{ label: long }, { label: markup }, { label: 'constructor', code: null }],
    })
    expect(() => JSON.parse(text('fhir'))).not.toThrow()
    // A segment is three capitals or digits and a bar, and a line break in a value is not one.
    for (const segment of text('hl7').trimEnd().split('\r')) expect(segment).toMatch(/^[A-Z][A-Z0-9]{2}\|/)
    expect(text('fhir')).not.toMatch(/<div[^>]*>[^"]*<script/)
  })

  it('says it in a table within one cell, whatever separators and line breaks it has', () => {
    const [header = [], ...lines] = rowsOf(text('csv'))
    expect(lines.map(({ length }) => length)).toEqual([header.length, header.length, header.length])
    const cells = (column: string) => lines.map(line => line[header.indexOf(column)])
    expect(cells('label')).toEqual([long, markup, 'constructor'])
    expect(cells('group')).toEqual(['', long, ''])
    expect(cells('code')).toEqual(['', '', ''])
  })
})
