import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { aContent, aFinding, aRevision } from '../../../tests/reports/content.ts'
import type { StudyContent, StudyTools } from '../study/format.ts'
import { csv } from './csv.ts'
import { studyReport } from './json/schema.ts'
import { json } from './json.ts'

const tools: StudyTools = {
  signal: new AbortController().signal,
  preview: () => Promise.reject(new Error('not asked for')),
  explanation: () => Promise.reject(new Error('not asked for')),
  header: () => Promise.reject(new Error('not asked for')),
  rendered: () => Promise.reject(new Error('not asked for')),
}
const made = async (format: typeof csv, content: StudyContent) =>
  Buffer.from((await format().render(content, tools))[0]?.bytes ?? []).toString()

describe('the JSON export', () => {
  it.each([
    ['a first version', aContent()],
    ['a revision', aRevision({ language: 'fr' })],
    ['nobody, nothing', aContent({ identity: null, images: [], header: null })],
  ])('is as its schema says: %s', async (_, content) => {
    const text = await made(json, content)
    expect(await made(json, content)).toBe(text)
    expect(studyReport.safeParse(JSON.parse(text)).error).toBeUndefined()
  })

  it('has a schema that others can read', async () => {
    const path = resolve(import.meta.dirname, '../../../docs/study-report.schema.json')
    // When this fails: write what is received into the file, and say so in the changelog.
    expect(JSON.parse(await readFile(path, 'utf8'))).toEqual(z.toJSONSchema(studyReport))
  })

  it('says which revision it replaces, and what is missing', async () => {
    const { status, replaces, notes, missing } = studyReport.parse(JSON.parse(await made(json, aRevision())))
    expect([status, replaces]).toEqual(['corrected', 1])
    expect(missing).toEqual([{ image: 'in_0002', model: 'chest', code: 'decode-failed' }])
    expect(notes).toContain('What is missing: chest: no answer on image 2 (decode-failed).')
  })
})

describe('the CSV export', () => {
  it('has a line for each finding, as RFC 4180 says', async () => {
    const text = await made(csv, aRevision())
    const lines = text.split('\r\n')
    expect(lines).toHaveLength(4)
    expect(lines[3]).toBe('')
    expect(lines[1]).toContain(',corrected,')
    expect(lines[1]?.split(',').length).toBe(lines[0]?.split(',').length)
  })

  it.each(['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', '\n=1', ' =1', '＝1'])(
    'gives a spreadsheet no formula: %j',
    async label => {
      const content = aContent()
      const text = await made(csv, { ...content, assessed: { ...content.assessed, findings: [aFinding({ label })] } })
      expect(text).toMatch(/,"?'\s*[=+\-@＝]/)
    },
  )

  it('quotes what holds quotes, commas and line breaks', async () => {
    const content = aContent()
    const findings = [aFinding({ label: 'a,"b"\r\nc' })]
    expect(await made(csv, { ...content, assessed: { ...content.assessed, findings } })).toContain(',"a,""b""\r\nc",')
  })
})

describe('both', () => {
  it.each([csv, json])('name nobody unless the settings show names', async format => {
    const hidden = await made(format, aContent({ showNames: false }))
    expect(hidden).not.toMatch(/Yamada|P-17|1970|A&B/)
    expect(hidden).toContain('pt_0123456789abcdefghijkl')
    expect(await made(format, aContent())).toContain('P-17')
  })
})
